// expect-failure: failed TypeError: wrong
// expect-position: 5:13
export default function main() {
  function inner() {
  throw new TypeError("wrong");
  }
  inner();
}
