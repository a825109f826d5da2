// expect: ["InternalError","out of memory"]
// needs-memory-limit: 67108864
const held = [];
try {
  for (;;) held.push(new Array(100_000).fill(held.length));
} catch (error) {
  held.length = 0;
  return [error.name, error.message];
}
