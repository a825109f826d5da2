// expect: ["own","own"]
const params = "own";
let fetch = "own";
return [params, fetch];
