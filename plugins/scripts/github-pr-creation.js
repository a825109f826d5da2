// Opens a pull request on GitHub.
//
//   wardroom credential add GITHUB_TOKEN --host=api.github.com
//
// The token needs write access to pull requests of that repository, and nothing
// else. On GitHub Enterprise, `api` is https://HOST/api/v3.
//
// Returns { number, url, state, head, base }.
//
// /// wardroom
// name = "github-pr-creation"
// description = "Opens a pull request on GitHub"
// net = ["{params.api}"]
// credentials = ["GITHUB_TOKEN"]
// [limits]
// timeout = "1m"
// [params.owner]
// type = "string"
// required = true
// description = "Whose repository: a user or an organisation"
// [params.repo]
// type = "string"
// required = true
// description = "The repository's name"
// [params.title]
// type = "string"
// required = true
// description = "The pull request's title"
// [params.head]
// type = "string"
// required = true
// description = "The branch with the changes, as BRANCH or OWNER:BRANCH"
// [params.base]
// type = "string"
// default = "main"
// description = "The branch that they are for"
// [params.body]
// type = "string"
// default = ""
// description = "What the pull request says, in Markdown"
// [params.api]
// type = "string"
// default = "https://api.github.com"
// description = "The address of GitHub's REST API"
// ///

/** One segment of the path, and never more: `..` would ask another resource with the same token. */
function segment(param, text, fits) {
  if (fits.test(text) && text !== "." && text !== "..") return text;
  throw Failure.invalid(`\`${param}\` should be a name of letters, digits and hyphens as GitHub has it, found ${JSON.stringify(text.slice(0, 100))}`);
}

/** The address below which the API stands, without a final slash. */
function baseOf(api) {
  if (/[?#]/.test(api)) throw Failure.invalid("`api` should be an address without a query, such as https://api.github.com");
  return api.replace(/\/+$/, "");
}

/** What GitHub says of a refusal, and what to do about it. */
function refusal({ status, headers }, answer, repository) {
  const details = Array.isArray(answer?.errors) ? answer.errors.map((error) => error?.message ?? `${error?.field} is ${error?.code}`) : [];
  const said = [answer?.message, ...details].filter((text) => typeof text === "string").join("; ").slice(0, 500) || "nothing more";
  const advice = {
    401: "The token does not hold (any more): store another with `wardroom credential rotate GITHUB_TOKEN`.",
    403: `The token may not do this: it needs write access to pull requests of ${repository}.`,
    404: `There is no ${repository}, or the token may not see it.`,
    422: "Check `head` and `base`: both have to exist, differ, and have no open pull request between them.",
  }[status];
  const message = `GitHub answered ${status}: ${said}${advice ? `. ${advice}` : ""}`;
  const wait = Math.min(Number(headers.get("retry-after")), 3600);
  if (wait > 0) return Failure.retryAfter(message, Math.ceil(wait * 1000));
  return status === 429 || status >= 500 ? Failure.unavailable(message) : Failure.permanent(message);
}

export default async function open({ owner, repo, title, head, base, body, api }) {
  const repository = `${segment("owner", owner, /^[A-Za-z0-9][\w-]*$/)}/${segment("repo", repo, /^[\w.-]+$/)}`;
  const answer = await fetch(`${baseOf(api)}/repos/${repository}/pulls`, {
    method: "POST",
    redirect: "manual",
    headers: {
      accept: "application/vnd.github+json",
      authorization: `Bearer ${credentials.placeholder("GITHUB_TOKEN")}`,
      "content-type": "application/json",
      "x-github-api-version": "2022-11-28",
    },
    body: JSON.stringify({ title, head, base, body }),
  });
  const said = await answer.json().catch(() => null);
  if (answer.status !== 201) throw refusal(answer, said, repository);
  console.log(`opened #${said?.number} in ${repository}`);
  return { number: said?.number, url: said?.html_url, state: said?.state, head, base };
}
