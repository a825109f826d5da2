// expect: "    at main (stack-text.js:3:21)\n"
export default function main() {
  return String(new Error("x").stack);
}
