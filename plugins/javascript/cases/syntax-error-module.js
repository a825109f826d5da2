// expect-failure: failed SyntaxError: Unexpected token ';'
// expect-position: 4:15
export default function () {
  const a = (1;  };
}
