// expect: ["NotAssignedError","NotAssignedError","NotAssignedError",true]
const names = [];
let last;
for (const run of [
  () => credentials.placeholder("API_TOKEN"),
  () => credentials.reveal("API_TOKEN"),
  () => credentials.sign("API_TOKEN", { hmac: { hash: "sha256", message: "text" } }),
]) {
  try {
    run();
  } catch (error) {
    names.push(error.name);
    last = error;
  }
}
return [...names, last instanceof Error];
