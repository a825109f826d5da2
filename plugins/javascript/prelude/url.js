// Owns URL and URLSearchParams: the parser and its rules are native, the
// objects and how the two follow each other are here.
(function (host, { hidden }) {
  class URLSearchParams {
    #pairs = [];
    #changed = () => {};

    constructor(init = "", changed) {
      if (changed) this.#changed = changed;
      if (typeof init === "object" && init !== null) this.#pairs = pairsOf(init);
      else this.#pairs = host.parseForm(String(init).replace(/^\?/, ""));
    }
    #change(pairs) {
      this.#pairs = pairs;
      this.#changed(this.toString());
    }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#change([...this.#pairs, [String(name), String(value)]]); }
    delete(name, value) {
      const goes = ([key, held]) => key === String(name) && (value === undefined || held === String(value));
      this.#change(this.#pairs.filter((pair) => !goes(pair)));
    }
    get(name) { return this.#pairs.find(([key]) => key === String(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value); }
    has(name, value) {
      return this.#pairs.some(([key, held]) => key === String(name) && (value === undefined || held === String(value)));
    }
    set(name, value) {
      const at = this.#pairs.findIndex(([key]) => key === String(name));
      if (at < 0) return this.append(name, value);
      const rest = this.#pairs.filter(([key], index) => key !== String(name) || index === at);
      this.#change(rest.map((pair, index) => (index === at ? [pair[0], String(value)] : pair)));
    }
    sort() { this.#change(this.#pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))); }
    forEach(callback, self) { for (const [key, value] of this) callback.call(self, value, key, this); }
    *entries() { for (const pair of this.#pairs) yield [...pair]; }
    *keys() { for (const [key] of this.#pairs) yield key; }
    *values() { for (const [, value] of this.#pairs) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return host.writeForm(this.#pairs); }
    [host.inspected]() { return Object.fromEntries(this.#pairs); }
    // The URL changed under its params: take the new ones without telling it back.
    static follow(params, query) { params.#pairs = host.parseForm(query.replace(/^\?/, "")); }
  }
  const { follow } = URLSearchParams;
  delete URLSearchParams.follow;

  function pairsOf(init) {
    if (typeof init[Symbol.iterator] !== "function") {
      return Object.keys(init).map((key) => [key, String(init[key])]);
    }
    return Array.from(init, (pair) => {
      const [key, value, ...more] = pair;
      if (value === undefined || more.length > 0) throw new TypeError("each pair must be a name and a value");
      return [String(key), String(value)];
    });
  }

  const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

  class URL {
    #parts;
    #params;

    constructor(url, base) {
      const parts = host.parseUrl(String(url), base === undefined ? undefined : String(base));
      if (parts === undefined) throw new TypeError(`Invalid URL: ${String(url)}`);
      this.#parts = parts;
    }
    static canParse(url, base) {
      return host.parseUrl(String(url), base === undefined ? undefined : String(base)) !== undefined;
    }
    static parse(url, base) {
      return URL.canParse(url, base) ? new URL(url, base) : null;
    }
    get searchParams() {
      this.#params ??= new URLSearchParams(this.search, (query) => (this.#parts = host.changeUrl(this.href, "search", query)));
      return this.#params;
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
    [host.inspected]() { return Object.fromEntries(PARTS.map((name) => [name, this[name]])); }
    static read(url, index) { return url.#parts[index]; }
    static write(url, name, value) {
      const parts = host.changeUrl(url.href, name, value);
      if (parts === undefined) throw new TypeError(`Invalid URL: ${value}`);
      url.#parts = parts;
      if (url.#params) follow(url.#params, url.search);
    }
  }
  const { read, write } = URL;
  delete URL.read;
  delete URL.write;
  PARTS.forEach((name, index) => {
    const set = name === "origin" ? undefined : function (value) { write(this, name, String(value)); };
    Object.defineProperty(URL.prototype, name, { get() { return read(this, index); }, set, enumerable: true, configurable: true });
  });
  hidden(URL.prototype, Symbol.toStringTag, "URL");
  hidden(URLSearchParams.prototype, Symbol.toStringTag, "URLSearchParams");
  return { URL, URLSearchParams };
});
