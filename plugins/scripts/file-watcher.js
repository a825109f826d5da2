// Lists the files of a folder that changed lately. Scheduled at every
// `sinceMinutes`, it reports each change once.
//
// Returns { checked, changed, since, files: [{ path, size, modified }] }, the
// newest first and at most 1000 of them; `checked` and `changed` count all.
//
// /// wardroom
// name = "file-watcher"
// description = "Lists the files of a folder that changed lately"
// read = ["{params.directory}"]
// [params.directory]
// type = "string"
// required = true
// description = "The folder to look into"
// [params.pattern]
// type = "string"
// default = "*"
// description = "Which files, by name: `*` stands for any characters, `?` for one"
// [params.sinceMinutes]
// type = "integer"
// default = 60
// description = "How many minutes back a change counts"
// [params.recursive]
// type = "boolean"
// default = false
// description = "Look into the folders below too; links are not followed"
// ///

const MAX_FILES = 1000;

/** Whether a name fits a pattern. Goes back to the last `*` only, so that no pattern is slow. */
function fits(name, pattern) {
  let [at, next, star, resume] = [0, 0, -1, 0];
  while (at < name.length) {
    if (pattern[next] === "*") [star, resume, next] = [next, at, next + 1];
    else if (pattern[next] === "?" || pattern[next] === name[at]) [at, next] = [at + 1, next + 1];
    else if (star >= 0) [resume, at, next] = [resume + 1, resume + 1, star + 1];
    else return false;
  }
  while (pattern[next] === "*") next++;
  return next === pattern.length;
}

/** What `look` finds, or nothing where it is gone or closed by the time of looking. */
async function ifThere(path, look) {
  try {
    return await look(path);
  } catch (error) {
    if (error.code !== "ENOENT") console.warn(`left out: ${error.message}`);
    return null;
  }
}

async function* filesIn(folder, entries, recursive) {
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`;
    if (entry.isFile()) yield { path, name: entry.name };
    if (!recursive || !entry.isDirectory()) continue;
    yield* filesIn(path, (await ifThere(path, list)) ?? [], recursive);
  }
}

const list = (folder) => fs.readdir(folder, { withFileTypes: true });

export default async function watch({ directory, pattern, sinceMinutes, recursive }) {
  if (pattern === "" || pattern.includes("/")) {
    throw Failure.invalid("`pattern` should fit names of files, such as *.csv: folders have `directory` and `recursive`");
  }
  if (sinceMinutes < 1) throw Failure.invalid(`\`sinceMinutes\` should be at least 1, found ${sinceMinutes}`);
  const since = Math.max(Date.now() - sinceMinutes * 60_000, 0);
  let checked = 0;
  const changed = [];
  for await (const { path, name } of filesIn(directory, await list(directory), recursive)) {
    if (!fits([...name], [...pattern])) continue;
    checked++;
    const found = await ifThere(path, fs.lstat);
    if (found?.mtimeMs >= since) changed.push({ path: path.slice(directory.length + 1), size: found.size, modified: found.mtime });
  }
  changed.sort((a, b) => b.modified - a.modified || (a.path < b.path ? -1 : 1));
  return { checked, changed: changed.length, since: new Date(since), files: changed.slice(0, MAX_FILES) };
}
