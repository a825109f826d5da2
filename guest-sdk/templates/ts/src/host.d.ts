// What the host serves, for the editor's and the type checker's eyes; the contract
// itself is in wit/deps. Add what you import.
declare module 'wardroom:automation/log@0.1.0' {
  export type Level = 'debug' | 'info' | 'warn' | 'error';
  /** Adds one line to the execution's log. */
  export function emit(level: Level, message: string): void;
  /** Says how far the run has come: `done` of `total` steps. */
  export function progress(done: bigint, total: bigint | undefined, message: string): void;
}

declare module 'wardroom:automation/state@0.1.0' {
  /** The value under a key, if there is one. */
  export function get(key: string): string | undefined;
  /** Stores a value under a key; kept when the run succeeds. */
  export function set(key: string, value: string): void;
  /** Removes a key. */
  function remove(key: string): void;
  export { remove as delete };
  /** All keys, in byte order. */
  export function keys(): string[];
}
