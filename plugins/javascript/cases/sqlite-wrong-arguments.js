// expect: ["the database must be a string, not a undefined","the statement must be a string, not a number","params must be an array, a value for each ? of the statement","params[1] must be null, a boolean, a number, a bigint, a string or bytes","params[0] must be null, a boolean, a number, a bigint, a string or bytes","RangeError: params[0] has more than 64 bits","a transaction is an array of [statement, params]","the snapshot's path must be a string, not null"]
const db = sqlite.open("app.db");
const message = (run) => {
  try {
    run();
    return "none";
  } catch (error) {
    return error instanceof TypeError ? error.message : String(error);
  }
};
return [
  () => sqlite.open(),
  () => db.query(7),
  () => db.query("SELECT ?", "x"),
  () => db.query("SELECT ?, ?", [1, undefined]),
  () => db.execute("SELECT ?", [new Date(0)]),
  () => db.query("SELECT ?", [2n ** 63n]),
  () => db.transaction(["SELECT 1"]),
  () => db.snapshot(null),
].map(message);
