// needs-credentials: SIGNING_KEY@s3.eu-central-1.amazonaws.com:sign
// expect: {"scheme":"AWS4-HMAC-SHA256","credential":"AKIDEXAMPLE eu-central-1 s3","note":true,"dated":true,"sendable":true}
const url = new URL("https://s3.eu-central-1.amazonaws.com/a bucket/key?b=2&a=1");
const headers = new Headers({ "X-Note": "one" });
const asked = { accessKeyId: "AKIDEXAMPLE", region: "eu-central-1", service: "s3", method: "put", url, headers, body: "text" };
const added = new Headers(credentials.sign("SIGNING_KEY", { awsSigV4: asked }));
const [scheme, credential, signed] = added.get("authorization").split(/[, ]+/);
const [id, , region, service] = credential.replace("Credential=", "").split("/");
return {
  scheme,
  credential: [id, region, service].join(" "),
  note: signed.replace("SignedHeaders=", "").split(";").includes("x-note"),
  dated: /^\d{8}T\d{6}Z$/.test(added.get("x-amz-date")),
  sendable: new Request(url, { method: "PUT", headers: added }).headers.has("authorization"),
};
