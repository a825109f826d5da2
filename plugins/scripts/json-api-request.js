// Asks a JSON API, with a bearer token where one is assigned.
//
//   wardroom credential add API_TOKEN --host=api.example.org
//
// Without `--credential=API_TOKEN` the request carries no token.
//
// Returns { status, content_type, body }; `body` is what the JSON means, or the
// text where it is none.
//
// /// wardroom
// name = "json-api-request"
// description = "Sends a request to a JSON API and returns its answer"
// net = ["{params.url}"]
// credentials = ["API_TOKEN"]
// [params.url]
// type = "string"
// required = true
// description = "The address to ask"
// [params.method]
// type = "enum"
// values = ["GET", "POST", "PUT", "PATCH", "DELETE"]
// default = "GET"
// description = "The method of the request"
// [params.body]
// type = "json"
// description = "What is sent, as JSON"
// [params.headers]
// type = "json"
// default = {}
// description = "More headers: an object of texts"
// ///

/** The headers of the request: the given ones, and those that JSON and the token need. */
function headersOf(given, hasBody) {
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  if (!isObject || Object.values(given).some((value) => typeof value !== "string")) {
    throw Failure.invalid('`headers` should be an object of texts, as in {"x-version": "2"}');
  }
  const headers = new Headers(given);
  const unlessGiven = (name, value) => headers.has(name) || headers.set(name, value);
  unlessGiven("accept", "application/json");
  if (hasBody) unlessGiven("content-type", "application/json");
  if ("API_TOKEN" in credentials) unlessGiven("authorization", `Bearer ${credentials.API_TOKEN}`);
  return headers;
}

/** What an answer that is no success means for the run. */
function refusal(asked, answer, said) {
  const moved = answer.headers.get("location");
  const message = `${asked} answered ${answer.status}: ${moved ? `it stands at ${moved} now, give that as \`url\`` : said.slice(0, 300) || "without a word"}`;
  const wait = Math.min(Number(answer.headers.get("retry-after")), 3600);
  if (answer.status === 429 && wait > 0) return Failure.retryAfter(message, Math.ceil(wait * 1000));
  return answer.status === 429 || answer.status >= 500 ? Failure.unavailable(message) : Failure.permanent(message);
}

function meaning(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? null : text;
  }
}

export default async function request({ url, method, body, headers }) {
  if (body !== undefined && method === "GET") {
    throw Failure.invalid("a GET request has no body: leave `body` away, or say another `method`");
  }
  const { origin, pathname } = new URL(url);
  const answer = await fetch(url, {
    method,
    redirect: "manual",
    headers: headersOf(headers, body !== undefined),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const said = await answer.text();
  if (!answer.ok) throw refusal(`${method} ${origin}${pathname}`, answer, said);
  return { status: answer.status, content_type: answer.headers.get("content-type"), body: meaning(said) };
}
