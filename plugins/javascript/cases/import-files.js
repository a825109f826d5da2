// expect: [true,"function"]
import files, { writeFile } from "node:fs/promises";
export default () => [files === fs, typeof writeFile];
