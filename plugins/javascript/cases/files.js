// needs-dir: /data
// expect: {"text":"one\ntwo\n","bytes":[111,110,101],"names":["copy.txt","sub"],"types":[["copy.txt",true],["sub",false]],"size":8,"gone":"ENOENT","full":"ENOTEMPTY","isdir":"EISDIR","exists":"EEXIST"}
const code = (promise) => promise.then(() => "no error", (error) => error.code);
await fs.writeFile("/data/a.txt", "one\n");
await fs.appendFile("/data/a.txt", new TextEncoder().encode("two\n"));
const text = await fs.readFile("/data/a.txt", "utf8");
const bytes = [...(await fs.readFile("/data/a.txt")).slice(0, 3)];
await fs.mkdir("/data/sub/deep", { recursive: true });
await fs.copyFile("/data/a.txt", "/data/b.txt");
await fs.rename("/data/b.txt", "/data/copy.txt");
await fs.unlink("/data/a.txt");
const names = await fs.readdir("/data");
const types = (await fs.readdir("/data", { withFileTypes: true })).map((entry) => [entry.name, entry.isFile()]);
const { size } = await fs.stat("/data/copy.txt");
const gone = await code(fs.readFile("/data/a.txt"));
const full = await code(fs.rmdir("/data/sub"));
const isdir = await code(fs.rm("/data/sub"));
const exists = await code(fs.mkdir("/data/sub"));
await fs.access("/data/copy.txt");
await fs.rm("/data/sub", { recursive: true });
await fs.rm("/data/copy.txt");
await fs.rm("/data/none", { force: true });
return { text, bytes, names, types, size, gone, full, isdir, exists };
