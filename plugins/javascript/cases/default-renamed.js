// expect: "renamed"
function run() {
  return "renamed";
}
export { run as default };
