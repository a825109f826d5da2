// Owns what every run needs: typed failures, how a thrown value is described to
// the engine, timers, and the getters through which the rest of the prelude is
// compiled only when a script first names it.
(function (host) {
  const KINDS = ["invalid", "denied", "unavailable", "failed", "permanent", "retryAfter", "needsApproval"];
  // Marks errors made in here with the failure that they become if nobody catches them.
  const kindOf = Symbol("failure kind");

  const hidden = (target, name, value) =>
    Object.defineProperty(target, name, { value, writable: true, configurable: true });

  // Under this name the prelude's classes tell the log what to show of them.
  host.inspected = Symbol("inspected");

  class Failure extends Error {
    constructor(kind, message, options = {}) {
      if (!KINDS.includes(kind)) {
        throw new TypeError(`'${String(kind)}' is no kind of failure: use one of ${KINDS.join(", ")}`);
      }
      super(message, options);
      this.kind = kind;
      if (kind !== "retryAfter") return;
      this.afterMs = Number(options?.afterMs);
      if (!(this.afterMs >= 0)) throw new TypeError("a retryAfter failure needs { afterMs } of 0 or more");
    }
    static retryAfter(message, afterMs) {
      return new Failure("retryAfter", message, { afterMs });
    }
  }
  hidden(Failure.prototype, "name", "Failure");
  for (const kind of KINDS) {
    if (kind !== "retryAfter") hidden(Failure, kind, (message, options) => new Failure(kind, message, options));
  }

  function permissionDenied(message) {
    const error = new Error(message);
    hidden(error, "name", "PermissionDenied");
    return error;
  }

  // The error, which becomes this failure if nobody catches it.
  function failing(kind, error) {
    hidden(error, kindOf, kind);
    return error;
  }
  const unavailable = (message) => failing("unavailable", new TypeError(message));

  // What a thrown value says to people: `Name: message`. A Failure's text is
  // its author's own words.
  function textOf(thrown) {
    if (!(thrown instanceof Error)) return typeof thrown === "string" ? thrown : use("inspect").inspect(thrown);
    const message = String(thrown.message);
    if (thrown instanceof Failure) return message;
    const name = String(thrown.name);
    if (thrown instanceof AggregateError && message === "") return `${name}: ${thrown.errors.map(textOf).join("; ")}`;
    return message === "" ? name : `${name}: ${message}`;
  }

  function kindOfThrown(thrown) {
    if (!(thrown instanceof Error)) return "failed";
    if (thrown instanceof Failure && KINDS.includes(thrown.kind)) return thrown.kind;
    if (thrown.name === "PermissionDenied") return "denied";
    return thrown[kindOf] ?? "failed";
  }

  // [kind, text, stack, afterMs] for the engine.
  function describe(thrown) {
    const stack = thrown instanceof Error && typeof thrown.stack === "string" ? thrown.stack : "";
    return [kindOfThrown(thrown), textOf(thrown), stack, Number(thrown?.afterMs) || 0];
  }

  // Whatever a script came to, awaited.
  async function settle(value) {
    return value;
  }

  function callback(value) {
    if (typeof value !== "function") throw new TypeError("the callback is not a function");
    return value;
  }
  const delay = (ms) => Math.min(Math.max(Number(ms) || 0, 0), 2 ** 31);
  const timers = {
    setTimeout: (run, ms, ...args) => (callback(run), host.addTimer(() => run(...args), delay(ms), false)),
    setInterval: (run, ms, ...args) => (callback(run), host.addTimer(() => run(...args), Math.max(delay(ms), 1), true)),
    clearTimeout: (id) => host.removeTimer(Number(id) || 0),
    clearInterval: (id) => host.removeTimer(Number(id) || 0),
    // What a microtask throws ends the run, as an error in a timer does.
    queueMicrotask: (run) => void (callback(run), Promise.resolve().then(() => run()).catch(host.abort)),
  };

  const loaded = new Map();
  function use(module) {
    if (!loaded.has(module)) loaded.set(module, host.load(module)(host, shared));
    return loaded.get(module);
  }
  const shared = { use, hidden, failing, permissionDenied, unavailable, textOf };

  const lazy = {
    console: ["console"],
    fetch: ["fetch", "Request", "Response", "Headers"],
    abort: ["AbortController", "AbortSignal"],
    url: ["URL", "URLSearchParams"],
    text: ["TextEncoder", "TextDecoder"],
    clone: ["structuredClone"],
    files: ["fs"],
    sqlite: ["sqlite"],
    system: ["crypto", "process", "state", "progress"],
    tools: ["tools"],
  };
  function defineLazily(module, name) {
    const value = (found) => Object.defineProperty(globalThis, name, { value: found, writable: true, configurable: true });
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get: () => (value(use(module)[name]), globalThis[name]),
      set: value,
    });
  }

  // `credentials`: what is assigned lies in it as plain text; whatever else a
  // script reads of it, the part of the prelude behind it is asked for.
  const credentials = (assigned) =>
    new Proxy(Object.freeze(assigned), {
      get: (target, name) => (Object.hasOwn(target, name) ? target[name] : use("credentials").read(name)),
    });

  hidden(globalThis, "Failure", Failure);
  for (const name in timers) hidden(globalThis, name, timers[name]);
  for (const module in lazy) for (const name of lazy[module]) defineLazily(module, name);

  return { credentials, describe, settle, use, textOf };
});
