// needs-credentials: SIGNING_KEY:sign:reveal
// expect: {"mac":"371da40304402e292eacf7d3f2eb8ccce2e488a02086e14627c2d535f9ef08a3","same":true,"revealed":64,"token":[{"alg":"HS256","kid":"k1"},{"iss":"me"},true],"unfit":"UnfitError"}
const key = "SIGNING_KEY";
const text = "what do ya want for nothing?";
const mac = (message) => credentials.sign(key, { hmac: { hash: "sha256", message } });
const token = credentials.sign(key, { jwt: { algorithm: "HS256", keyId: "k1", claims: { iss: "me" } } });
const [head, claims, signature] = token.split(".");
const decode = (part) => Uint8Array.fromBase64(part, { alphabet: "base64url" });
const json = (part) => JSON.parse(new TextDecoder().decode(decode(part)));
const { alg, kid } = json(head);
let unfit = "none";
try {
  credentials.sign(key, { jwt: { algorithm: "RS256", claims: {} } });
} catch (error) {
  unfit = error.name;
}
return {
  mac: mac(text).toHex(),
  same: mac(new TextEncoder().encode(text)).toHex() === mac(text).toHex(),
  revealed: credentials.reveal(key).length,
  token: [{ alg, kid }, json(claims), decode(signature).toHex() === mac(`${head}.${claims}`).toHex()],
  unfit,
};
