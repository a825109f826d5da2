// Asks a web server how it is.
//
// /// wardroom
// name = "http-health-check"
// description = "Checks that an address answers with the expected status in time"
// net = ["{params.url}"]
// [params.url]
// type = "string"
// required = true
// description = "The address to ask"
// [params.expected_status]
// type = "integer"
// default = 200
// [params.timeout_ms]
// type = "integer"
// default = 30000
// ///
export default async function check({ url, expected_status, timeout_ms }) {
  const started = performance.now();
  let answer;
  try {
    answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeout_ms) });
  } catch (error) {
    if (error.name === "PermissionDenied") throw error;
    throw new Failure("unavailable", `${url} did not answer: ${error.message}`);
  }
  const took_ms = Math.round(performance.now() - started);
  if (answer.status !== expected_status) {
    throw new Failure("failed", `${url} answered ${answer.status}, expected ${expected_status}`);
  }
  return { healthy: true, status: answer.status, took_ms };
}
