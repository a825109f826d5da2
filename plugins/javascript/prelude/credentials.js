// Owns what `credentials` does beyond the placeholders that lie in it: asking
// the engine, signing, revealing. What is wrong with an argument is said here,
// what is not allowed the engine says.
(function (host, { use, hidden, failing }) {
  const natives = host.credential();

  const NAME = /^[A-Z][A-Z0-9_]*$/;
  const HASHES = ["sha1", "sha256", "sha512"];
  const ALGORITHMS = ["HS256", "HS512", "RS256", "ES256", "EdDSA"];
  // The name of the error, and the failure that it becomes if nobody catches it.
  const ERRORS = {
    notAssigned: ["NotAssignedError", "denied"],
    denied: ["DeniedError", "denied"],
    unfit: ["UnfitError", "permanent"],
  };

  function answer([error, value]) {
    if (!error) return value;
    const [kind, message] = error;
    const [name, failure] = ERRORS[kind];
    const thrown = failing(failure, new Error(message));
    hidden(thrown, "name", name);
    throw thrown;
  }

  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  // A value may be a secret put in the wrong place, so that it is never repeated.
  function typeName(value) {
    if (value === null || value === undefined) return String(value);
    return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`;
  }

  function text(what, value) {
    if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${typeName(value)}`);
    return value;
  }

  function oneOf(what, choices, value) {
    if (!choices.includes(value)) throw new TypeError(`${what} must be one of ${choices.join(", ")}`);
    return value;
  }

  function bytes(what, value) {
    if (typeof value === "string") return host.encode(value);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return use("text").bytesOf(value);
    throw new TypeError(`${what} must be a string or a Uint8Array, not ${typeName(value)}`);
  }

  // The object itself, if it has these keys and no others.
  function record(what, value, required, optional = []) {
    if (!isObject(value)) throw new TypeError(`${what} must be an object, not ${typeName(value)}`);
    const expected = `expected ${required.join(", ")}${optional.map((key) => `, ${key}?`).join("")}`;
    for (const key of required) if (value[key] === undefined) throw new TypeError(`${what} lacks ${key}: ${expected}`);
    const unknown = Object.keys(value).find((key) => !required.includes(key) && !optional.includes(key));
    if (unknown !== undefined) throw new TypeError(`${what} has no ${unknown}: ${expected}`);
    return value;
  }

  function hmac(name, request) {
    const { hash, message } = record("hmac", request, ["hash", "message"]);
    return answer(natives.hmac(name, oneOf("hmac.hash", HASHES, hash), bytes("hmac.message", message)));
  }

  function jwt(name, request) {
    const { algorithm, keyId, claims } = record("jwt", request, ["algorithm", "claims"], ["keyId"]);
    oneOf("jwt.algorithm", ALGORITHMS, algorithm);
    const id = keyId === undefined ? undefined : text("jwt.keyId", keyId);
    const json = isObject(claims) ? JSON.stringify(claims) : undefined;
    if (!json?.startsWith("{")) throw new TypeError("jwt.claims must be an object that JSON can express");
    return answer(natives.jwt(name, algorithm, id, json));
  }

  // The request as fetch would send it.
  function awsSigV4(name, request) {
    const { payloadHash, body, ...rest } = record(
      "awsSigV4", request, ["accessKeyId", "region", "service", "method", "url"], ["headers", "payloadHash", "body"]);
    if (payloadHash !== undefined && body !== undefined) throw new TypeError("awsSigV4 takes payloadHash or body, not both");
    const { Headers, Request } = use("fetch");
    if (rest.url instanceof use("url").URL) rest.url = rest.url.href;
    for (const key of ["accessKeyId", "region", "service", "method", "url"]) text(`awsSigV4.${key}`, rest[key]);
    const { method, url } = new Request(rest.url, { method: rest.method });
    const hash = payloadHash === undefined ? natives.sha256(bytes("awsSigV4.body", body ?? "")).toHex() : text("awsSigV4.payloadHash", payloadHash);
    const texts = [rest.accessKeyId, rest.region, rest.service, method, url, hash];
    return Object.fromEntries(answer(natives.awsSigV4(name, texts, [...new Headers(rest.headers).entries()])));
  }

  const schemes = { hmac, jwt, awsSigV4 };
  const NAMES = Object.keys(schemes);

  const functions = Object.freeze({
    list: () => natives.list().map(([name, kind, placeholder]) => ({ name, kind, placeholder })),
    placeholder: (name) => answer(natives.placeholder(text("the credential's name", name))),
    reveal: (name) => answer(natives.reveal(text("the credential's name", name))),
    sign(name, scheme) {
      text("the credential's name", name);
      const kinds = isObject(scheme) ? Object.keys(scheme) : [];
      if (kinds.length !== 1 || !NAMES.includes(kinds[0])) {
        throw new TypeError(`what is to be signed must be an object with one of ${NAMES.join(", ")}`);
      }
      return schemes[kinds[0]](name, scheme[kinds[0]]);
    },
  });

  // Scripts ask `if (!credentials.NAME)`: then nothing is thrown, but the
  // operator is to learn once which credential the script looked for.
  const asked = new Map();
  function read(name) {
    if (typeof name !== "string" || !NAME.test(name)) return functions[name];
    if (!asked.has(name)) asked.set(name, natives.placeholder(name)[1]);
    return asked.get(name);
  }
  return { read };
});
