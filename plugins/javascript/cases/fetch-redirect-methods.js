// needs-params: base
// expect: {"301 POST":["GET","",false],"302 POST":["GET","",false],"303 POST":["GET","",false],"303 PUT":["GET","",false],"301 PUT":["PUT","body",true],"302 DELETE":["DELETE","",true],"307 PATCH":["PATCH","body",true],"308 POST":["POST","body",true],"303 HEAD":200}
const found = {};
for (const asked of ["301 POST", "302 POST", "303 POST", "303 PUT", "301 PUT", "302 DELETE", "307 PATCH", "308 POST"]) {
  const [status, method] = asked.split(" ");
  const headers = { "content-type": "text/x-mine", "content-language": "en", "x-other": "kept" };
  const body = method === "DELETE" ? undefined : "body";
  const response = await fetch(`${params.base}/redirect/${status}`, { method, headers, body });
  const answer = await response.json();
  found[asked] = [answer.method, answer.body, answer.headers["content-type"] === "text/x-mine" && answer.headers["content-language"] === "en"];
  if (answer.headers["x-other"] !== "kept") return asked;
}
const head = await fetch(`${params.base}/redirect/303`, { method: "HEAD" });
return { ...found, "303 HEAD": head.status };
