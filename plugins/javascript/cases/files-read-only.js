// needs-read-only-dir: /data
// expect: ["hello","PermissionDenied","PermissionDenied","ENOENT"]
const failure = (promise, key) => promise.then(() => "none", (error) => error[key]);
return [
  await fs.readFile("/data/hello.txt", "utf8"),
  await failure(fs.writeFile("/data/new.txt", "x"), "name"),
  await failure(fs.rm("/data/hello.txt"), "name"),
  await failure(fs.readFile("/data/none.txt"), "code"),
];
