// Owns AbortController and AbortSignal: just enough of an event target for them.
(function (host, { hidden }) {
  const secret = Symbol();

  class AbortSignal {
    #listeners = [];
    #aborted = false;
    #reason;
    onabort = null;

    constructor(key) {
      if (key !== secret) throw new TypeError("an AbortSignal comes from an AbortController");
    }
    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    throwIfAborted() {
      if (this.#aborted) throw this.#reason;
    }
    addEventListener(type, listener, options) {
      const once = typeof options === "object" && options !== null && options.once === true;
      if (type === "abort" && listener && !this.#listeners.some((known) => known.listener === listener)) {
        this.#listeners.push({ listener, once });
      }
    }
    removeEventListener(type, listener) {
      this.#listeners = this.#listeners.filter((known) => known.listener !== listener);
    }
    static abort(reason = new DOMException("This operation was aborted", "AbortError")) {
      const signal = new AbortSignal(secret);
      signal.#abort(reason);
      return signal;
    }
    static timeout(ms) {
      const signal = new AbortSignal(secret);
      const expire = () => signal.#abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
      host.addTimer(expire, Math.max(Number(ms) || 0, 0), false);
      return signal;
    }
    static any(signals) {
      const joined = new AbortSignal(secret);
      for (const signal of signals) {
        if (signal.aborted) joined.#abort(signal.reason);
        else signal.addEventListener("abort", () => joined.#abort(signal.reason));
      }
      return joined;
    }
    #abort(reason) {
      if (this.#aborted) return;
      this.#aborted = true;
      this.#reason = reason;
      const event = { type: "abort", target: this, currentTarget: this };
      for (const { listener } of this.#listeners.splice(0)) {
        typeof listener === "function" ? listener.call(this, event) : listener.handleEvent?.(event);
      }
      if (typeof this.onabort === "function") this.onabort(event);
    }
    // Only the controller below may abort a signal from outside.
    static [secret](signal, reason) { signal.#abort(reason); }
  }

  class AbortController {
    #signal = new AbortSignal(secret);
    get signal() { return this.#signal; }
    abort(reason = new DOMException("This operation was aborted", "AbortError")) {
      AbortSignal[secret](this.#signal, reason);
    }
  }

  hidden(AbortSignal.prototype, Symbol.toStringTag, "AbortSignal");
  hidden(AbortController.prototype, Symbol.toStringTag, "AbortController");
  return { AbortController, AbortSignal };
});
