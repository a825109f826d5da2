// Owns the small windows to the outside: crypto, process.env, state, progress.
(function (host, { use, hidden, permissionDenied }) {
  const INTEGERS = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];

  function getRandomValues(array) {
    if (!INTEGERS.some((type) => array instanceof type)) throw new TypeError("expected an array of integers");
    if (array.byteLength > 65536) throw new DOMException("more than 65536 bytes at once", "QuotaExceededError");
    use("text").bytesOf(array).set(host.random(array.byteLength));
    return array;
  }

  function randomUUID() {
    const bytes = host.random(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  function answer([error, value]) {
    if (!error) return value;
    const [kind, message] = error;
    if (kind === "denied") throw permissionDenied(message);
    const thrown = new Error(message);
    hidden(thrown, "name", kind === "quota" ? "QuotaExceededError" : "InvalidKeyError");
    throw thrown;
  }

  const state = {
    get(key) {
      const text = answer(host.state.get(String(key)));
      return text === undefined ? undefined : JSON.parse(text);
    },
    set(key, value) {
      const text = JSON.stringify(value);
      if (text === undefined) throw new TypeError("only values that JSON can express can be kept in state");
      answer(host.state.set(String(key), text));
    },
    delete: (key) => answer(host.state.delete(String(key))),
    keys: () => answer(host.state.keys()),
  };

  const steps = (value) => (Number.isFinite(Number(value)) ? Math.max(Math.trunc(Number(value)), 0) : 0);
  const progress = (done, total, message = "") =>
    host.progress(steps(done), total === undefined || total === null ? undefined : steps(total), String(message));

  const process = Object.defineProperty({}, "env", { value: host.environment(), enumerable: true, writable: true });
  return { crypto: { getRandomValues, randomUUID }, process, state, progress };
});
