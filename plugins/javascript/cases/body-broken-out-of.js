// expect-failure: failed SyntaxError: unexpected token in expression: '}'
// expect-position: 5:1
if (params.x) {
}
}
return 1;
