// Owns structuredClone.
(function () {
  function refuse(value) {
    const what = typeof value === "symbol" ? String(value) : typeof value === "function" ? `function ${value.name}` : "this object";
    throw new DOMException(`${what} could not be cloned`, "DataCloneError");
  }

  // A copy without its contents, or undefined for a plain object.
  function bare(value, copy) {
    if (value instanceof Date) return new Date(value.getTime());
    if (value instanceof RegExp) return new RegExp(value.source, value.flags);
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return Object(value.valueOf());
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (value instanceof DataView) return new DataView(copy(value.buffer), value.byteOffset, value.byteLength);
    if (ArrayBuffer.isView(value)) return new value.constructor(copy(value.buffer), value.byteOffset, value.length);
    if (value instanceof Error) return errorLike(value);
    if (value instanceof Map) return new Map();
    if (value instanceof Set) return new Set();
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) refuse(value);
    return undefined;
  }

  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  function errorLike(error) {
    const copy = new (ERRORS[error.name] ?? Error)(error.message);
    Object.defineProperty(copy, "stack", { value: error.stack, writable: true, configurable: true });
    return copy;
  }

  function structuredClone(root) {
    const seen = new Map();
    function copy(value) {
      if (typeof value === "function" || typeof value === "symbol") refuse(value);
      if (typeof value !== "object" || value === null) return value;
      if (seen.has(value)) return seen.get(value);
      const special = bare(value, copy);
      const made = special ?? (Array.isArray(value) ? new Array(value.length) : {});
      seen.set(value, made);
      if (value instanceof Map) for (const [key, item] of [...value]) made.set(copy(key), copy(item));
      else if (value instanceof Set) for (const item of [...value]) made.add(copy(item));
      else if (special === undefined) for (const key of Object.keys(value)) made[key] = copy(value[key]);
      else if (value instanceof Error && Object.hasOwn(value, "cause")) made.cause = copy(value.cause);
      return made;
    }
    return copy(root);
  }
  return { structuredClone };
});
