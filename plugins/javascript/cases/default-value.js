// expect: {"a":[1,2]}
export default { a: [1, 2] };
