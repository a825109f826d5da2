// needs-credentials: API_TOKEN
// expect: [["DeniedError","DeniedError"],true]
const errors = [];
for (const run of [
  () => credentials.reveal("API_TOKEN"),
  () => credentials.sign("API_TOKEN", { hmac: { hash: "sha256", message: "text" } }),
]) {
  try {
    run();
  } catch (error) {
    errors.push(error);
  }
}
return [errors.map(({ name }) => name), errors.every((error) => error instanceof Error && error.message !== "")];
