// Sends a message to Slack, by an incoming webhook.
//
//   wardroom credential add SLACK_WEBHOOK_URL --kind=url
//
// The message is text: `&`, `<` and `>` are escaped as Slack asks for, so that
// nothing in it calls a whole channel. *Bold* and plain links stay.
//
// Returns { delivered: true, characters }.
//
// /// wardroom
// name = "slack-notification"
// description = "Sends a message to Slack by an incoming webhook"
// net = ["{params.origin}"]
// credentials = ["SLACK_WEBHOOK_URL"]
// [limits]
// timeout = "1m"
// [params.message]
// type = "string"
// required = true
// description = "What to say"
// [params.channel]
// type = "string"
// description = "Another channel than the webhook's own, where Slack allows it"
// [params.username]
// type = "string"
// description = "Another name than the webhook's own, where Slack allows it"
// [params.origin]
// type = "string"
// default = "https://hooks.slack.com"
// description = "Where the webhook stands, without its secret path"
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
  const message = `Slack answered ${answer.status}: ${said.slice(0, 300) || "without a word"}`;
  const wait = Math.min(Number(answer.headers.get("retry-after")), 3600);
  if (answer.status === 429 && wait > 0) return Failure.retryAfter(message, Math.ceil(wait * 1000));
  return answer.status === 429 || answer.status >= 500 ? Failure.unavailable(message) : Failure.permanent(message);
}

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export default async function notify({ message, channel, username }) {
  if (message.trim() === "") throw Failure.invalid("`message` should say something, found only white space");
  const answer = await fetch(address("SLACK_WEBHOOK_URL"), {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text: escape(message), channel, username }),
  });
  const said = await answer.text();
  if (!answer.ok) throw refusal(answer, said);
  return { delivered: true, characters: [...message].length };
}
