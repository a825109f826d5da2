// expect: {"sum":3,"params":{}}
const sum = 1 + 2;
return { sum, params };
