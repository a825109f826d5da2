// Sends a message to Discord, by a channel's webhook.
//
//   wardroom credential add DISCORD_WEBHOOK_URL --kind=url
//
// Nobody is called by what the message holds: mentions are shown, and notify no one.
//
// Returns { delivered: true, characters }.
//
// /// wardroom
// name = "discord-notification"
// description = "Sends a message to Discord by a channel's webhook"
// net = ["{params.origin}"]
// credentials = ["DISCORD_WEBHOOK_URL"]
// [limits]
// timeout = "1m"
// [params.content]
// type = "string"
// required = true
// description = "What to say, in at most 2000 characters"
// [params.username]
// type = "string"
// description = "Another name than the webhook's own"
// [params.origin]
// type = "string"
// default = "https://discord.com"
// description = "Where the webhook stands, without its secret path"
// ///

const MAX_CHARACTERS = 2000;

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
  const message = `Discord answered ${answer.status}: ${said.slice(0, 300) || "without a word"}`;
  const wait = Math.min(Number(answer.headers.get("retry-after")), 3600);
  if (answer.status === 429 && wait > 0) return Failure.retryAfter(message, Math.ceil(wait * 1000));
  return answer.status === 429 || answer.status >= 500 ? Failure.unavailable(message) : Failure.permanent(message);
}

export default async function notify({ content, username }) {
  const characters = [...content].length;
  if (content.trim() === "" || characters > MAX_CHARACTERS) {
    throw Failure.invalid(`\`content\` should have 1 to ${MAX_CHARACTERS} characters and not only white space, found ${characters}`);
  }
  const answer = await fetch(address("DISCORD_WEBHOOK_URL"), {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ content, username, allowed_mentions: { parse: [] } }),
  });
  const said = await answer.text();
  if (!answer.ok) throw refusal(answer, said);
  return { delivered: true, characters };
}
