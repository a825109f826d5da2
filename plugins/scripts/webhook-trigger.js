// Sends a JSON payload to a webhook whose whole address is the secret.
//
//   wardroom credential add WEBHOOK_URL --kind=url
//
// The script holds a stand-in of the address, and never sees its path. Only the
// origin is named, as what may be reached.
//
// Returns { delivered: true, status, took_ms }.
//
// /// wardroom
// name = "webhook-trigger"
// description = "Sends a JSON payload to a webhook whose address is a secret"
// net = ["{params.origin}"]
// credentials = ["WEBHOOK_URL"]
// [limits]
// timeout = "1m"
// [params.origin]
// type = "string"
// required = true
// description = "Where the webhook stands, without its secret path: https://hooks.example.org"
// [params.payload]
// type = "json"
// default = {}
// description = "What is sent, as JSON"
// [params.method]
// type = "enum"
// values = ["POST", "PUT"]
// default = "POST"
// description = "The method of the request"
// ///

/** The stand-in of a secret address. */
function address(name) {
  const stored = credentials.list().find((credential) => credential.name === name);
  if (stored && stored.kind !== "url") {
    throw Failure.invalid(`${name} should be a credential of kind url, found ${stored.kind}: \`wardroom credential add ${name} --kind=url\` stores one`);
  }
  return credentials.placeholder(name);
}

/** What an answer that is no success means for the run. */
function refusal(answer, said) {
  const message = `the webhook answered ${answer.status}: ${said.slice(0, 300) || "without a word"}`;
  const wait = Math.min(Number(answer.headers.get("retry-after")), 3600);
  if (answer.status === 429 && wait > 0) return Failure.retryAfter(message, Math.ceil(wait * 1000));
  return answer.status === 429 || answer.status >= 500 ? Failure.unavailable(message) : Failure.permanent(message);
}

export default async function trigger({ payload, method }) {
  const started = performance.now();
  const answer = await fetch(address("WEBHOOK_URL"), {
    method,
    redirect: "manual",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(payload),
  });
  const said = await answer.text();
  if (!answer.ok) throw refusal(answer, said);
  return { delivered: true, status: answer.status, took_ms: Math.round(performance.now() - started) };
}
