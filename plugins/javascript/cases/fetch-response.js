// needs-params: base
// expect: [404,false,"Not Found","gone","text/plain",false,"TypeError",["a=1","b=2"]]
const response = await fetch(`${params.base}/status/404`);
const text = await response.text();
const again = await response.text().catch((error) => error.name);
return [response.status, response.ok, response.statusText, text, response.headers.get("Content-Type"), response.redirected, again, response.headers.getSetCookie()];
