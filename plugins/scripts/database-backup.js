// Copies a live SQLite database into a folder of backups and keeps the newest.
// Give each database a folder of its own: backups are known by their names.
//
// /// wardroom
// name = "database-backup"
// description = "Copies a live SQLite database, and keeps the newest copies"
// sqlite = ["{params.sourcePath}"]
// write = ["{params.backupDir}"]
// [params.sourcePath]
// type = "string"
// required = true
// description = "The database's file"
// [params.backupDir]
// type = "string"
// required = true
// description = "The folder for the copies; not the one in which the database lies"
// [params.maxBackups]
// type = "integer"
// default = 10
// description = "How many copies are kept"
// ///

/** 20260131-235959, in UTC, so that names sort by age. */
const stamp = (time) => time.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);

/** A copy under the first free name: two within a second are two. */
function copy(database, folder, base) {
  const name = `${base}-${stamp(new Date())}`;
  for (let number = 1; ; number++) {
    const file = number === 1 ? `${name}.db` : `${name}-${number}.db`;
    try {
      return { file, bytes: database.snapshot(`${folder}/${file}`) };
    } catch (error) {
      if (error.name !== "ExistsError") throw error;
    }
  }
}

/** The copies of this database and nothing else in the folder, newest first. */
async function copies(folder, base) {
  const own = new RegExp(`^${RegExp.escape(base)}-(\\d{8}-\\d{6})(?:-(\\d+))?\\.db$`);
  const found = (await fs.readdir(folder)).map((file) => ({ file, parts: file.match(own) })).filter(({ parts }) => parts);
  const age = ({ parts: [, time, number = "1"] }) => [time, Number(number)];
  const newer = ([a, m], [b, n]) => (a === b ? n - m : a < b ? 1 : -1);
  return found.sort((one, other) => newer(age(one), age(other))).map(({ file }) => file);
}

export default async function backup({ sourcePath, backupDir, maxBackups }) {
  if (maxBackups < 1) throw Failure.invalid("maxBackups should be 1 or more");
  const database = sqlite.open(sourcePath);
  // A damaged database must not push its good copies out.
  const [{ quick_check: verdict }] = database.query("PRAGMA quick_check(1)");
  if (verdict !== "ok") throw Failure.permanent(`${sourcePath} is damaged, and no backup was made: ${verdict}`);

  const base = sourcePath.split("/").at(-1).replace(/\.(db|sqlite|sqlite3)$/, "");
  const { file, bytes } = copy(database, backupDir, base);
  const all = await copies(backupDir, base);
  const removed = all.slice(maxBackups);
  for (const old of removed) await fs.unlink(`${backupDir}/${old}`);
  console.log(`${backupDir}/${file}: ${bytes} bytes`);
  return { file, bytes, kept: all.length - removed.length, removed };
}
