// expect-failure: failed SyntaxError: Unexpected token ';'
// expect-position: 5:18
const b = "ü";
if (b === "x") return 1;
return /* ü */ (1;
