// expect-failure: failed SyntaxError: Could not find export 'watch' in module 'node:fs/promises'
import { watch } from "node:fs/promises";
export default () => watch;
