// Reads a Cargo.lock and reports what a Rust project depends on.
//
// Returns { packages, own, in_several_versions, most_needed }: a count, names, and
// by name the versions and how many packages need it.
//
// /// wardroom
// name = "dependency-report"
// description = "Counts the packages of a Cargo.lock and shows what stands out"
// read = ["{params.directory}"]
// [params.directory]
// type = "string"
// default = "."
// description = "The folder in which the Cargo.lock lies"
// ///

/** The packages of a lock file: its `[[package]]` tables, key by key. */
function packagesOf(lock) {
  return lock.split(/^\[\[package\]\]$/m).slice(1).map((table) => ({
    name: table.match(/^name = "(.*)"$/m)[1],
    version: table.match(/^version = "(.*)"$/m)[1],
    source: table.match(/^source = "(.*)"$/m)?.[1] ?? null,
    dependencies: [...(table.match(/^dependencies = \[([^\]]*)\]/m)?.[1] ?? "").matchAll(/"([^" ]+)[^"]*"/g)].map((found) => found[1]),
  }));
}

/** How often each key occurs, most often first, ties by name. */
function tally(keys) {
  const counts = new Map();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

export default async function report({ directory }) {
  const path = `${directory}/Cargo.lock`;
  const packages = packagesOf(await fs.readFile(path, "utf8"));
  console.log(`${path}: ${packages.length} packages`);
  const versions = Object.groupBy(packages, ({ name }) => name);
  return {
    packages: packages.length,
    own: packages.filter(({ source }) => source === null).map(({ name }) => name),
    in_several_versions: Object.fromEntries(
      Object.entries(versions).filter(([, all]) => all.length > 1).map(([name, all]) => [name, all.map(({ version }) => version)]),
    ),
    most_needed: Object.fromEntries(tally(packages.flatMap(({ dependencies }) => dependencies)).slice(0, 5)),
  };
}
