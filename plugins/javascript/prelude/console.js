// Owns `console`: every call becomes one line of the execution's log.
(function (host, { use }) {
  const { inspect, format } = use("inspect");

  let indent = "";
  const counts = new Map();
  const clocks = new Map();

  const emit = (level, text) =>
    host.log(level, indent === "" ? text : text.split("\n").map((line) => indent + line).join("\n"));
  const at = (level) => (...args) => emit(level, format(args));

  function frames() {
    const lines = new Error().stack.split("\n");
    return lines.filter((line) => line.trim() !== "" && !line.includes("(wardroom:") && !line.endsWith("(native)"));
  }

  function cells(row) {
    return row !== null && typeof row === "object" ? Object.entries(row) : [["Values", row]];
  }

  function table(data) {
    if (data === null || typeof data !== "object") return emit("info", format([data]));
    const rows = (data instanceof Map ? [...data] : Object.entries(data)).map(([key, row]) => [String(key), new Map(cells(row))]);
    const columns = [...new Set(rows.flatMap(([, row]) => [...row.keys()]))];
    const grid = [["(index)", ...columns]];
    for (const [key, row] of rows) grid.push([key, ...columns.map((name) => (row.has(name) ? inspect(row.get(name), 0) : ""))]);
    const widths = grid[0].map((_, column) => Math.max(...grid.map((line) => line[column].length)));
    const text = grid.map((line) => line.map((cell, column) => cell.padEnd(widths[column])).join(" | ").trimEnd());
    text.splice(1, 0, widths.map((width) => "-".repeat(width)).join("-+-"));
    emit("info", text.join("\n"));
  }

  function elapsed(label, rest) {
    const started = clocks.get(label);
    if (started === undefined) return emit("warn", `no timer is called '${label}'`);
    emit("info", format([`${label}: ${(host.now() - started).toFixed(3)}ms`, ...rest]));
  }

  function count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    emit("info", `${label}: ${counts.get(label)}`);
  }

  function group(...label) {
    if (label.length > 0) emit("info", format(label));
    indent += "  ";
  }

  const console = {
    log: at("info"),
    info: at("info"),
    debug: at("debug"),
    warn: at("warn"),
    error: at("error"),
    trace: (...args) => emit("debug", [`Trace: ${format(args)}`, ...frames()].join("\n")),
    assert: (holds, ...args) => void (holds || emit("error", args.length ? `Assertion failed: ${format(args)}` : "Assertion failed")),
    dir: (value, options) => emit("info", inspect(value, options?.depth === null ? Infinity : options?.depth ?? 2)),
    table,
    group,
    groupCollapsed: group,
    groupEnd: () => void (indent = indent.slice(2)),
    count,
    countReset: (label = "default") => void counts.delete(label),
    time: (label = "default") => void clocks.set(label, host.now()),
    timeLog: (label = "default", ...rest) => elapsed(label, rest),
    timeEnd: (label = "default") => (elapsed(label, []), void clocks.delete(label)),
  };
  return { console };
});
