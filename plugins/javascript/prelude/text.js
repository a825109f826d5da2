// Owns TextEncoder and TextDecoder (UTF-8 only).
(function (host) {
  // Any buffer source as the bytes it stands for, without copying.
  function bytesOf(source) {
    if (source instanceof Uint8Array) return source;
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    throw new TypeError("expected an ArrayBuffer or a view of one");
  }

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return host.encode(String(text)); }
    encodeInto(text, target) {
      let read = 0;
      let written = 0;
      for (const letter of String(text)) {
        const bytes = host.encode(letter);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += letter.length;
      }
      return { read, written };
    }
  }

  class TextDecoder {
    #held = new Uint8Array(0);
    #started = false;

    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(unicode-1-1-)?utf-?8\s*$/i.test(String(label))) {
        throw new RangeError(`the encoding '${String(label)}' is not known here: only utf-8 is`);
      }
      Object.assign(this, { encoding: "utf-8", fatal: Boolean(fatal), ignoreBOM: Boolean(ignoreBOM) });
    }
    decode(source = new Uint8Array(0), { stream = false } = {}) {
      let bytes = bytesOf(source);
      if (this.#held.length > 0) {
        const joined = new Uint8Array(this.#held.length + bytes.length);
        joined.set(this.#held);
        joined.set(bytes, this.#held.length);
        bytes = joined;
      }
      const found = host.decode(bytes, this.fatal, Boolean(stream));
      this.#held = new Uint8Array(0);
      if (found === undefined) {
        this.#started = false;
        throw new TypeError("the bytes are not valid UTF-8");
      }
      let [text, used] = found;
      if (stream) this.#held = bytes.slice(used);
      if (!this.#started && !this.ignoreBOM && text.startsWith("\ufeff")) text = text.slice(1);
      this.#started = stream && (this.#started || used > 0);
      return text;
    }
  }
  return { TextEncoder, TextDecoder, bytesOf };
});
