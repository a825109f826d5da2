// Writes one line into the execution's log: the smallest program there is, to
// try a schedule or a trigger with. It asks for nothing.
//
// Returns { level, message }.
//
// /// wardroom
// name = "log-message"
// description = "Writes a message into the log of its execution"
// [params.message]
// type = "string"
// required = true
// description = "What to write"
// [params.level]
// type = "enum"
// values = ["debug", "info", "warn", "error"]
// default = "info"
// description = "How much it matters"
// ///
export default function log({ message, level }) {
  console[level](message);
  return { level, message };
}
