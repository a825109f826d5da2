// expect: null
console.log("nothing to return");
