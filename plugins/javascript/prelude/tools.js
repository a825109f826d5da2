// Owns `tools`: other tasks and functions of plugins, called by their names. What
// may be called the engine says, and it runs them; here are names and waiting.
(function (host, { hidden, failing }) {
  const natives = host.call();

  // So many calls may be open at once; the others wait in here.
  const MOST_OPEN = 16;
  const queue = [];
  let open = 0;

  // Of what kept a call from a result: the error's name, and the kind that it is.
  const REFUSALS = {
    notGranted: ["NotGrantedError", "denied"],
    params: ["ParamsError", "invalid"],
    loop: ["LoopError", "loop"],
    tooMany: ["TooManyError", "tooMany"],
    busy: ["BusyError", "busy"],
  };
  // What a kind becomes if nobody catches it. A callee that got wrong params, or
  // ran out of time, is no such failure of its caller's.
  const UNCAUGHT = {
    denied: "denied",
    needsApproval: "denied",
    unavailable: "unavailable",
    busy: "unavailable",
    host: "unavailable",
    retryAfter: "retryAfter",
    permanent: "permanent",
    program: "permanent",
    loop: "permanent",
  };

  function failure(place, [word, message, afterMs, execution]) {
    const [name, kind] = REFUSALS[word] ?? ["CallError", word];
    const thrown = failing(UNCAUGHT[kind] ?? "failed", new Error(message));
    hidden(thrown, "name", name);
    hidden(thrown, "stack", place.stack);
    thrown.kind = kind;
    if (typeof afterMs === "number") thrown.afterMs = afterMs;
    if (typeof execution === "string") thrown.execution = execution;
    return thrown;
  }

  function begin({ name, text, place, resolve, reject }) {
    const refused = natives.start(name, text, (failed, result) => {
      open -= 1;
      if (failed) reject(failure(place, failed));
      else resolve(JSON.parse(result));
      next();
    });
    if (refused) reject(failure(place, refused));
    else open += 1;
  }

  function next() {
    while (open < MOST_OPEN && queue.length > 0) begin(queue.shift());
  }

  function paramsText(params) {
    const isObject = typeof params === "object" && params !== null && !Array.isArray(params);
    const text = isObject ? JSON.stringify(params) : undefined;
    if (!text?.startsWith("{")) throw new TypeError("a tool is called with an object of its params");
    return text;
  }

  function callable(name) {
    return (params = {}) => {
      const text = paramsText(params);
      // Made here, so that its stack is the script's own.
      const place = new Error();
      return new Promise((resolve, reject) => {
        queue.push({ name, text, place, resolve, reject });
        next();
      });
    };
  }

  const camel = (name) => name.replace(/-+([a-zA-Z0-9])/g, (_, letter) => letter.toUpperCase());
  const kebab = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  // Names that the language asks any object for.
  const OWN = ["then", "constructor", "prototype", "toString", "toLocaleString", "valueOf", "toJSON", "inspect", "hasOwnProperty",
    "isPrototypeOf", "propertyIsEnumerable", "length", "name", "toPrimitive"];
  const isName = (name) => typeof name === "string" && /^[a-z][A-Za-z0-9-]*$/.test(name) && !OWN.includes(name);

  // What was granted lies in it; any other name is a call that the engine refuses,
  // so that the operator learns what was looked for.
  const withOthers = (members, other) =>
    new Proxy(members, { get: (target, name) => (Object.hasOwn(target, name) || !isName(name) ? target[name] : other(name)) });

  // Each under its very name; in camel case too, where that stands for it alone.
  // What is named `then` would make all of them a promise, and has no name here.
  function membersOf(entries) {
    const members = Object.create(null);
    const known = [...entries].filter(([word]) => word !== "then");
    const words = new Set(known.map(([word]) => word));
    const meant = new Map();
    for (const [word] of known) meant.set(camel(word), (meant.get(camel(word)) ?? 0) + 1);
    for (const [word, value] of known) {
      const short = camel(word);
      const isShort = short !== word && meant.get(short) === 1 && !words.has(short) && short !== "then";
      Object.defineProperty(members, word, { value, enumerable: !isShort });
      if (isShort) Object.defineProperty(members, short, { value, enumerable: true });
    }
    return members;
  }

  // `{ task: { nightly: … }, text: { markdown: …, tables: { render: … } } }`, of names.
  function tree(names) {
    const top = new Map();
    for (const name of names) {
      const words = name.includes(".") ? name.split(".") : ["task", name];
      let at = top;
      for (const word of words.slice(0, -1)) {
        if (!(at.get(word) instanceof Map)) at.set(word, new Map());
        at = at.get(word);
      }
      if (!at.has(words.at(-1))) at.set(words.at(-1), name);
    }
    return top;
  }

  function group(at, prefix) {
    const member = ([word, value]) => [word, value instanceof Map ? group(value, `${prefix}${word}.`) : callable(value)];
    const members = membersOf([...at].map(member));
    return withOthers(Object.freeze(members), (name) => callable(prefix + kebab(name)));
  }

  const top = tree(natives.list());
  const groups = membersOf([...top].map(([word, value]) => [word, group(value, word === "task" ? "" : `${word}.`)]));
  const other = (name) => group(new Map(), name === "task" ? "" : `${kebab(name)}.`);
  return { tools: withOthers(Object.freeze(groups), other) };
});
