// Owns fetch, Request, Response and Headers. What the standard asks of a client
// is here; one request and its body over wasi:http is native.
(function (host, { use, hidden, permissionDenied, unavailable }) {
  const { URL, URLSearchParams } = use("url");
  const { bytesOf } = use("text");

  const MAX_REDIRECTS = 20;
  const REDIRECTS = new Set([301, 302, 303, 307, 308]);
  const NO_BODY = new Set([101, 103, 204, 205, 304]);
  // Meant for the first server only.
  const PRIVATE = ["authorization", "cookie", "proxy-authorization", "host"];

  class Headers {
    #lines = new Map();

    constructor(init) {
      if (init === undefined || init === null) return;
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }
    append(name, value) {
      const key = headerName(name);
      this.#lines.set(key, [...(this.#lines.get(key) ?? []), headerValue(value)]);
    }
    set(name, value) { this.#lines.set(headerName(name), [headerValue(value)]); }
    delete(name) { this.#lines.delete(headerName(name)); }
    has(name) { return this.#lines.has(headerName(name)); }
    get(name) { return this.#lines.get(headerName(name))?.join(", ") ?? null; }
    getSetCookie() { return [...(this.#lines.get("set-cookie") ?? [])]; }
    *entries() {
      for (const name of [...this.#lines.keys()].sort()) {
        if (name === "set-cookie") for (const line of this.getSetCookie()) yield [name, line];
        else yield [name, this.get(name)];
      }
    }
    *keys() { for (const [name] of this.entries()) yield name; }
    *values() { for (const [, value] of this.entries()) yield value; }
    forEach(callback, self) { for (const [name, value] of this.entries()) callback.call(self, value, name, this); }
    [Symbol.iterator]() { return this.entries(); }
    [host.inspected]() { return Object.fromEntries(this.entries()); }
  }

  function headerName(name) {
    const text = String(name);
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(text)) throw new TypeError(`'${text}' is no header name`);
    return text.toLowerCase();
  }

  function headerValue(value) {
    const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
    if (/[\0\n\r]|[^\0-\xff]/.test(text)) throw new TypeError("a header's value holds a character that none may");
    return text;
  }

  // [bytes, content type] of what a caller may give as a body.
  function encodeBody(body) {
    if (typeof body === "string") return [host.encode(body), "text/plain;charset=UTF-8"];
    if (body instanceof URLSearchParams) return [host.encode(String(body)), "application/x-www-form-urlencoded;charset=UTF-8"];
    if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return [bytesOf(body).slice(), undefined];
    return [host.encode(String(body)), "text/plain;charset=UTF-8"];
  }

  // A failed exchange as the error that the script sees. It names the origin
  // only: paths and queries may hold secrets. `stack` is the caller's, for the
  // error itself comes up where nothing of the script is running.
  function exchangeError([kind, message], { origin, stack }) {
    const make = { denied: permissionDenied, unavailable }[kind] ?? ((text) => new TypeError(text));
    const error = make(`fetch ${origin}: ${message}`);
    hidden(error, "stack", stack);
    return error;
  }

  // Starts something native and waits for it, or for the signal.
  function waitFor(start, stop, signal, caller) {
    return new Promise((resolve, reject) => {
      const onAbort = () => (stop(), reject(signal.reason));
      signal?.addEventListener("abort", onAbort);
      start((error, value) => {
        signal?.removeEventListener("abort", onAbort);
        error ? reject(exchangeError(error, caller)) : resolve(value);
      });
    });
  }

  // Closes the connections of responses that nothing can read any more.
  const forgotten = new FinalizationRegistry((id) => host.closeExchange(id));

  // The bytes of one response that is still arriving; its clones share them.
  class Arriving {
    #whole;
    constructor(exchange, signal, origin) {
      Object.assign(this, { exchange, signal, origin, isShared: false });
      forgotten.register(this, exchange);
    }
    #read(whole) {
      this.signal?.throwIfAborted();
      const stop = () => host.closeExchange(this.exchange);
      return waitFor((done) => host.readExchange(this.exchange, whole, done), stop, this.signal, { origin: this.origin, stack: new Error().stack });
    }
    whole() { return (this.#whole ??= this.#read(true)); }
    // The next piece, null at the end. What is shared can only be read as a whole.
    async piece(isFirst) {
      if (!this.isShared) return this.#read(false);
      return isFirst ? this.whole() : null;
    }
  }

  // What Request and Response have in common. A body lies in memory, or arrives.
  class Body {
    #bytes = null;
    #arriving;
    #used = false;
    #stream;

    static hold(target, bytes) { target.#bytes = bytes; }
    static connect(target, ...arriving) { target.#arriving = new Arriving(...arriving); }
    static copy(from, to) {
      if (from.#used) throw new TypeError("the body was read already");
      to.#bytes = from.#bytes;
      to.#arriving = from.#arriving;
      if (to.#arriving) to.#arriving.isShared = true;
    }
    static async take(from) { return from.#isEmpty() ? null : from.#whole(); }

    #isEmpty() { return this.#bytes === null && this.#arriving === undefined; }
    get bodyUsed() { return this.#used; }
    get body() {
      if (this.#isEmpty()) return null;
      return (this.#stream ??= new BodyStream(() => this.#piece()));
    }
    async #whole() {
      if (this.#used) throw new TypeError("the body was read already");
      this.#used = true;
      return this.#arriving ? this.#arriving.whole() : this.#bytes ?? new Uint8Array(0);
    }
    async #piece() {
      const isFirst = !this.#used;
      this.#used = true;
      if (this.#arriving) return this.#arriving.piece(isFirst);
      return isFirst ? this.#bytes : null;
    }
    async bytes() { return (await this.#whole()).slice(); }
    async arrayBuffer() { return (await this.bytes()).buffer; }
    async text() {
      const text = host.decode(await this.#whole(), false, false)[0];
      return text.startsWith("\ufeff") ? text.slice(1) : text;
    }
    async json() { return JSON.parse(await this.text()); }
  }
  const { hold, connect, copy, take } = Body;
  for (const name of ["hold", "connect", "copy", "take"]) delete Body[name];

  // Enough of a ReadableStream to read a long body piece by piece.
  class BodyStream {
    #next;
    constructor(next) { this.#next = next; }
    getReader() {
      const next = async () => {
        const value = await this.#next();
        return value === null ? { done: true, value: undefined } : { done: false, value };
      };
      return { read: next, releaseLock() {}, cancel: async () => {} };
    }
    async *[Symbol.asyncIterator]() {
      for (let piece = await this.#next(); piece !== null; piece = await this.#next()) yield piece;
    }
  }

  function methodOf(method) {
    const text = String(method);
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(text)) throw new TypeError(`'${text}' is no method`);
    const upper = text.toUpperCase();
    if (["CONNECT", "TRACE", "TRACK"].includes(upper)) throw new TypeError(`the method ${upper} is not allowed`);
    return ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"].includes(upper) ? upper : text;
  }

  function addressOf(input) {
    const url = new URL(input);
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      throw new TypeError(`fetch knows http: and https:, not ${url.protocol}`);
    }
    if (url.username !== "" || url.password !== "") {
      throw new TypeError("the URL holds a name or password: use an authorization header");
    }
    return url;
  }

  class Request extends Body {
    #fields;

    constructor(input, init) {
      super();
      init ??= {};
      const from = input instanceof Request ? input : undefined;
      this.#fields = {
        url: addressOf(from ? from.url : String(input)),
        method: methodOf(init.method ?? from?.method ?? "GET"),
        headers: new Headers(init.headers ?? from?.headers),
        redirect: init.redirect ?? from?.redirect ?? "follow",
        signal: init.signal ?? from?.signal,
      };
      if (!["follow", "manual", "error"].includes(this.redirect)) throw new TypeError(`'${this.redirect}' is no redirect mode`);
      const body = init.body ?? null;
      if (body === null && from && init.body === undefined) copy(from, this);
      if (body === null) return;
      if (this.method === "GET" || this.method === "HEAD") throw new TypeError(`a ${this.method} request has no body`);
      const [bytes, type] = encodeBody(body);
      hold(this, bytes);
      if (type !== undefined && !this.headers.has("content-type")) this.headers.set("content-type", type);
    }
    get url() { return this.#fields.url.href; }
    get method() { return this.#fields.method; }
    get headers() { return this.#fields.headers; }
    get redirect() { return this.#fields.redirect; }
    get signal() { return this.#fields.signal; }
    clone() { return new Request(this); }
    [host.inspected]() { return { method: this.method, url: this.url, headers: this.headers }; }
  }

  class Response extends Body {
    #fields;

    constructor(body = null, init) {
      super();
      init ??= {};
      const status = Number(init.status ?? 200);
      if (!(status >= 200 && status <= 599)) throw new RangeError(`a response's status cannot be ${init.status}`);
      this.#fields = { status, statusText: String(init.statusText ?? ""), headers: new Headers(init.headers), url: "", redirected: false, type: "default" };
      if (body === null) return;
      if (NO_BODY.has(status)) throw new TypeError(`a response with status ${status} has no body`);
      const [bytes, type] = encodeBody(body);
      hold(this, bytes);
      if (type !== undefined && !this.headers.has("content-type")) this.headers.set("content-type", type);
    }
    static json(data, init = {}) {
      const headers = new Headers(init.headers);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Response(JSON.stringify(data), { ...init, headers });
    }
    static error() { return Response.#made({ status: 0, type: "error" }); }
    static redirect(url, status = 302) {
      if (!REDIRECTS.has(status)) throw new RangeError(`${status} is no redirect`);
      return Response.#made({ status, headers: new Headers({ location: new URL(url).href }) });
    }
    static #made(fields) {
      const response = new Response();
      Object.assign(response.#fields, fields);
      return response;
    }
    static arrived(fields) { return Response.#made({ ...fields, type: "basic" }); }
    get status() { return this.#fields.status; }
    get ok() { return this.status >= 200 && this.status <= 299; }
    get statusText() { return this.#fields.statusText; }
    get headers() { return this.#fields.headers; }
    get url() { return this.#fields.url; }
    get redirected() { return this.#fields.redirected; }
    get type() { return this.#fields.type; }
    clone() {
      const twin = Response.#made({ ...this.#fields, headers: new Headers(this.headers) });
      copy(this, twin);
      return twin;
    }
    [host.inspected]() { return { status: this.status, statusText: this.statusText, headers: this.headers, url: this.url }; }
  }
  const { arrived } = Response;
  delete Response.arrived;

  // One request without its redirects: [exchange, status, header pairs].
  function send(request, stack) {
    const caller = { origin: request.url.origin, stack };
    let id;
    const start = (done) => {
      const refused = host.sendExchange(request.method, request.url.href, [...request.headers.entries()], request.body ?? undefined, done);
      if (Array.isArray(refused)) throw exchangeError(refused, caller);
      id = refused;
    };
    return waitFor(start, () => host.closeExchange(id), request.signal, caller);
  }

  // The request that a redirect asks for.
  function redirected(request, status, location) {
    const url = addressOf(new URL(location, request.url));
    if (url.hash === "") url.hash = request.url.hash;
    const next = { ...request, url, headers: new Headers(request.headers) };
    const toGet = (status === 303 && !["GET", "HEAD"].includes(next.method)) || ((status === 301 || status === 302) && next.method === "POST");
    if (toGet) {
      next.method = "GET";
      next.body = null;
      for (const name of ["content-encoding", "content-language", "content-length", "content-location", "content-type"]) next.headers.delete(name);
    }
    if (url.origin !== request.url.origin) for (const name of PRIVATE) next.headers.delete(name);
    return next;
  }

  async function fetch(input, init) {
    const { stack } = new Error();
    const asked = new Request(input, init);
    const { method, headers, redirect, signal } = asked;
    signal?.throwIfAborted();
    let request = { url: new URL(asked.url), method, headers: new Headers(headers), body: await take(asked), signal };
    for (let hops = 0; ; hops++) {
      const [exchange, status, pairs] = await send(request, stack);
      const found = new Headers(pairs);
      const location = REDIRECTS.has(status) ? found.get("location") : null;
      if (location === null || redirect === "manual") {
        const url = new URL(request.url);
        url.hash = "";
        const response = arrived({ status, statusText: host.statusText(status), headers: found, url: url.href, redirected: hops > 0 });
        if (request.method === "HEAD" || NO_BODY.has(status)) host.closeExchange(exchange);
        else connect(response, exchange, signal, url.origin);
        return response;
      }
      host.closeExchange(exchange);
      const caller = { origin: request.url.origin, stack };
      if (redirect === "error") throw exchangeError(["failed", "it redirects, which this call does not allow"], caller);
      if (hops === MAX_REDIRECTS) throw exchangeError(["failed", `more than ${MAX_REDIRECTS} redirects`], caller);
      request = redirected(request, status, location);
    }
  }

  for (const [name, type] of Object.entries({ Headers, Request, Response })) hidden(type.prototype, Symbol.toStringTag, name);
  return { fetch, Request, Response, Headers };
});
