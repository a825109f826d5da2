// expect: ["the credential's name must be a string, not undefined","the credential's name must be a string, not null","what is to be signed must be an object with one of hmac, jwt, awsSigV4","what is to be signed must be an object with one of hmac, jwt, awsSigV4","what is to be signed must be an object with one of hmac, jwt, awsSigV4","hmac must be an object, not a string","hmac lacks message: expected hash, message","hmac has no encoding: expected hash, message","hmac.hash must be one of sha1, sha256, sha512","hmac.message must be a string or a Uint8Array, not a number","jwt lacks claims: expected algorithm, claims, keyId?","jwt.algorithm must be one of HS256, HS512, RS256, ES256, EdDSA","jwt.keyId must be a string, not a number","jwt.claims must be an object that JSON can express","jwt.claims must be an object that JSON can express","awsSigV4 lacks url: expected accessKeyId, region, service, method, url, headers?, payloadHash?, body?","awsSigV4 takes payloadHash or body, not both","awsSigV4.body must be a string or a Uint8Array, not an object"]
const aws = { accessKeyId: "AKIDEXAMPLE", region: "eu-central-1", service: "s3", method: "PUT" };
const sign = (scheme) => () => credentials.sign("KEY", scheme);
const jwt = (more) => sign({ jwt: { algorithm: "RS256", claims: {}, ...more } });
const message = (run) => {
  try {
    run();
    return "none";
  } catch (error) {
    return error instanceof TypeError ? error.message : String(error);
  }
};
return [
  () => credentials.placeholder(),
  () => credentials.reveal(null),
  sign(undefined),
  sign({ rsa: {} }),
  sign({ hmac: {}, jwt: {} }),
  sign({ hmac: "sha256" }),
  sign({ hmac: { hash: "sha256" } }),
  sign({ hmac: { hash: "sha256", message: "", encoding: "hex" } }),
  sign({ hmac: { hash: "md5", message: "" } }),
  sign({ hmac: { hash: "sha256", message: 7 } }),
  sign({ jwt: { algorithm: "RS256" } }),
  jwt({ algorithm: "none" }),
  jwt({ keyId: 7 }),
  jwt({ claims: [] }),
  jwt({ claims: new Date(0) }),
  sign({ awsSigV4: aws }),
  sign({ awsSigV4: { ...aws, url: "https://h.example/", payloadHash: "UNSIGNED-PAYLOAD", body: "" } }),
  sign({ awsSigV4: { ...aws, url: "https://h.example/", body: {} } }),
].map(message);
