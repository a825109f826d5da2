// Owns `fs`: the names of node:fs/promises over the native file calls.
(function (host, { use, hidden, permissionDenied }) {
  // Turns [code, text, denied] of a failed native call into node's kind of error.
  function fail([code, text, denied], call, path) {
    const message = `${code}: ${text}, ${call} '${path}'`;
    const error = denied ? permissionDenied(message) : new Error(message);
    return Object.assign(error, { code, syscall: call, path });
  }

  function pathOf(path) {
    if (typeof path === "string") return path;
    if (path instanceof use("url").URL && path.protocol === "file:") return decodeURIComponent(path.pathname);
    throw new TypeError("the path must be a string or a file URL");
  }

  const call = (name, path, ...rest) => {
    const text = pathOf(path);
    const [error, value] = host.files[name](text, ...rest);
    if (error) throw fail(error, name, text);
    return value;
  };

  function encodingOf(options) {
    const encoding = typeof options === "string" ? options : options?.encoding;
    if (encoding === undefined || encoding === null || encoding === "buffer") return undefined;
    if (/^utf-?8$/i.test(encoding)) return "utf-8";
    throw new TypeError(`the encoding '${encoding}' is not known here: only utf-8 is`);
  }

  const bytesOf = (data) => (typeof data === "string" ? host.encode(data) : use("text").bytesOf(data));

  class Stats {
    constructor([kind, size, atimeMs, mtimeMs, ctimeMs]) {
      hidden(this, "kind", kind);
      Object.assign(this, { size, atimeMs, mtimeMs, ctimeMs });
      for (const name of ["atime", "mtime", "ctime"]) this[name] = new Date(this[`${name}Ms`]);
    }
    isFile() { return this.kind === "file"; }
    isDirectory() { return this.kind === "directory"; }
    isSymbolicLink() { return this.kind === "symlink"; }
  }

  class Dirent {
    constructor(name, kind, parentPath) {
      Object.assign(this, { name, parentPath });
      hidden(this, "kind", kind);
    }
    isFile() { return this.kind === "file"; }
    isDirectory() { return this.kind === "directory"; }
    isSymbolicLink() { return this.kind === "symlink"; }
  }

  async function readFile(path, options) {
    const encoding = encodingOf(options);
    const bytes = call("open", path);
    return encoding === undefined ? bytes : host.decode(bytes, false, false)[0];
  }

  async function writeFile(path, data, options) {
    encodingOf(options);
    const flag = options?.flag ?? "w";
    if (!["w", "a", "wx"].includes(flag)) throw new TypeError(`the flag '${flag}' is not known here`);
    call("write", path, bytesOf(data), flag);
  }

  async function readdir(path, options) {
    const entries = call("scandir", path);
    if (!options?.withFileTypes) return entries.map(([name]) => name);
    return entries.map(([name, kind]) => new Dirent(name, kind, pathOf(path)));
  }

  async function mkdir(path, options) {
    call("mkdir", path, Boolean(options?.recursive));
  }

  async function rm(path, options) {
    call("rm", path, Boolean(options?.recursive), Boolean(options?.force));
  }

  const fs = {
    readFile,
    writeFile,
    appendFile: (path, data, options) => writeFile(path, data, { encoding: encodingOf(options), flag: "a" }),
    readdir,
    stat: async (path) => new Stats(call("stat", path, true)),
    lstat: async (path) => new Stats(call("stat", path, false)),
    mkdir,
    rm,
    rmdir: async (path) => call("rmdir", path),
    unlink: async (path) => call("unlink", path),
    rename: async (from, to) => call("rename", from, pathOf(to)),
    copyFile: async (from, to) => call("copyfile", from, pathOf(to)),
    access: async (path) => void call("stat", path, true),
  };
  return { fs };
});
