// expect-failure: failed SyntaxError: unexpected token in expression: ''
// expect-position: 4:14
function unfinished() {
  if (true) {
