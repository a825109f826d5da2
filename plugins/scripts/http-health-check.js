// Asks a web server how it is.
//
// Returns { healthy: true, status, took_ms }; a server that is silent or answers
// something else is a failed run, so that a schedule notices.
//
// /// wardroom
// name = "http-health-check"
// description = "Checks that an address answers with the expected status in time"
// net = ["{params.url}"]
// [params.url]
// type = "string"
// required = true
// description = "The address to ask"
// [params.expectedStatus]
// type = "integer"
// default = 200
// description = "The status that a healthy server answers with; redirects are not followed"
// [params.timeout]
// type = "integer"
// default = 30000
// description = "How long to wait for the answer, in milliseconds"
// ///
export default async function check({ url, expectedStatus, timeout }) {
  if (timeout < 1) throw Failure.invalid(`\`timeout\` should be at least 1 millisecond, found ${timeout}`);
  const started = performance.now();
  let answer;
  try {
    answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeout) });
  } catch (error) {
    if (error.name === "PermissionDenied") throw error;
    const why = error.name === "TimeoutError" ? `nothing came within ${timeout} ms` : error.message;
    throw Failure.unavailable(`${url} did not answer: ${why}`);
  }
  const took_ms = Math.round(performance.now() - started);
  if (answer.status !== expectedStatus) {
    throw new Failure("failed", `${url} answered ${answer.status}, expected ${expectedStatus}`);
  }
  return { healthy: true, status: answer.status, took_ms };
}
