// Owns `sqlite`: databases under the names by which they were granted. What is
// wrong with an argument is said here, what is not allowed the engine says.
(function (host, { use, hidden, failing }) {
  const natives = host.sqlite();

  // The name of the error, and the failure that it becomes if nobody catches it.
  const ERRORS = {
    notGranted: ["NotGrantedError", "denied"],
    readOnly: ["ReadOnlyError", "denied"],
    busy: ["BusyError", "unavailable"],
    sql: ["SqlError", "failed"],
    tooLarge: ["TooLargeError", "permanent"],
    gone: ["GoneError", "failed"],
    exists: ["ExistsError", "failed"],
    target: ["TargetError", "failed"],
  };

  function answer([error, value]) {
    if (!error) return value;
    const [kind, message] = error;
    const [name, failure] = ERRORS[kind];
    const thrown = failing(failure, new Error(message));
    hidden(thrown, "name", name);
    throw thrown;
  }

  function text(what, value) {
    if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${value === null ? "null" : `a ${typeof value}`}`);
    return value;
  }

  // Whole numbers become integers, as whoever wrote 1 expects.
  function param(value, index) {
    if (value === null || typeof value === "string") return value;
    if (typeof value === "boolean") return value ? 1n : 0n;
    if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) throw new RangeError(`params[${index}] has more than 64 bits`);
      return value;
    }
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return use("text").bytesOf(value);
    throw new TypeError(`params[${index}] must be null, a boolean, a number, a bigint, a string or bytes`);
  }

  function params(values) {
    if (!Array.isArray(values)) throw new TypeError("params must be an array, a value for each ? of the statement");
    return values.map(param);
  }

  const changes = ([rows, lastInsertId]) => ({ rows, lastInsertId });

  // Nothing is opened here: each call opens the database and closes it again.
  class Database {
    constructor(name) {
      Object.defineProperty(this, "name", { value: name, enumerable: true });
    }
    query(sql, values = []) {
      const [columns, found, truncated] = answer(natives.query(this.name, text("the statement", sql), params(values)));
      const rows = found.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
      hidden(rows, "columns", columns);
      hidden(rows, "truncated", truncated);
      return rows;
    }
    execute(sql, values = []) {
      return this.transaction([[sql, values]])[0];
    }
    transaction(statements) {
      if (!Array.isArray(statements) || !statements.every(Array.isArray)) throw new TypeError("a transaction is an array of [statement, params]");
      const wanted = statements.map(([sql, values = []]) => [text("the statement", sql), params(values)]);
      return answer(natives.execute(this.name, wanted)).map(changes);
    }
    snapshot(target) {
      return answer(natives.snapshot(this.name, text("the snapshot's path", target)));
    }
  }

  return { sqlite: Object.freeze({ open: (name) => new Database(text("the database", name)) }) };
});
