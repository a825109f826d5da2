// expect: "body"
// export default 1;
const text = `export default 2`;
return text ? "body" : /export default 3/;
