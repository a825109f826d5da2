// expect-failure: failed SyntaxError: a script that imports or exports at its top level needs a default export (inside a function, `await import(...)` works without)
import { readFile } from "node:fs/promises";
await readFile("x");
