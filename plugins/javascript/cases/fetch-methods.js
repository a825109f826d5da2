// needs-params: base
// expect: [["GET",""],["POST","text/plain;charset=UTF-8","hi"],["PUT","application/json","{}"],["POST","application/x-www-form-urlencoded;charset=UTF-8","a=1"],["DELETE",""],["PATCH","application/octet-stream","\u0001\u0002"]]
const echo = async (init) => (await fetch(`${params.base}/echo`, init)).json();
const seen = [];
const note = ({ method, headers, body }) => seen.push([method, headers["content-type"] ?? "", body].slice(0, body ? 3 : 2));
note(await echo());
note(await echo({ method: "post", body: "hi" }));
note(await echo({ method: "PUT", body: "{}", headers: { "Content-Type": "application/json" } }));
note(await echo({ method: "POST", body: new URLSearchParams({ a: "1" }) }));
note(await echo(new Request(`${params.base}/echo`, { method: "DELETE" }) && { method: "DELETE" }));
note(await echo({ method: "PATCH", body: new Uint8Array([1, 2]), headers: [["content-type", "application/octet-stream"]] }));
return seen;
