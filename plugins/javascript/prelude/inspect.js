// Owns how values look in the log: close to what node prints, without colours.
(function (host) {
  const WIDTH = 76;
  const ITEMS = 100;
  const plainKey = /^[A-Za-z_$][\w$]*$/;

  function quote(text) {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes("`") ? "`" : "'";
    const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
    return mark + (mark === "'" ? inner.replaceAll("'", "\\'") : inner) + mark;
  }

  const keyText = (key) =>
    typeof key === "symbol" ? `[${String(key)}]` : plainKey.test(key) ? key : quote(key);

  function classOf(value) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null) return "[Object: null prototype]";
    const name = prototype.constructor?.name;
    return typeof name === "string" && name !== "" ? name : "Object";
  }

  function functionText(value) {
    const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
    return value.name ? `[${kind}${kind === "class" ? " " : ": "}${value.name}]` : `[${kind} (anonymous)]`;
  }

  // The script's own frames only: this prelude's are noise to its reader.
  const ownFrames = (stack) =>
    stack.split("\n").filter((line) => line.trim() !== "" && !line.includes("(wardroom:") && !line.endsWith("(native)"));

  function errorText(error) {
    const head = error.message ? `${error.name}: ${error.message}` : String(error.name);
    const frames = typeof error.stack === "string" ? ownFrames(error.stack) : [];
    return [head, ...frames].join("\n");
  }

  function primitive(value, nested) {
    switch (typeof value) {
      case "string": return nested ? quote(value) : value;
      case "bigint": return `${value}n`;
      case "number": return Object.is(value, -0) ? "-0" : String(value);
      default: return String(value);
    }
  }

  function list(values, state, write) {
    const shown = [];
    let count = 0;
    for (const value of values) {
      if (count++ < ITEMS) shown.push(write(value, state));
    }
    if (count > ITEMS) shown.push(`... ${count - ITEMS} more item${count === ITEMS + 1 ? "" : "s"}`);
    return shown;
  }

  function property(value, key, state) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    if (!found || found.get || found.set) return found?.get ? (found.set ? "[Getter/Setter]" : "[Getter]") : "[Setter]";
    return write(found.value, state);
  }

  function properties(value, state, skip) {
    return Reflect.ownKeys(value)
      .filter((key) => !skip(key) && Object.prototype.propertyIsEnumerable.call(value, key))
      .map((key) => `${keyText(key)}: ${property(value, key, state)}`);
  }

  // Many short items fill lines instead of taking one each.
  function packed(parts, width) {
    if (parts.length <= 6 || parts.some((part) => part.length > 16 || part.includes("\n"))) return parts;
    const lines = [];
    for (const part of parts) {
      const last = lines.at(-1);
      if (last !== undefined && last.length + part.length + 2 <= width) lines[lines.length - 1] = `${last}, ${part}`;
      else lines.push(part);
    }
    return lines;
  }

  function layout(prefix, [open, close], parts, state) {
    const head = prefix === "" ? "" : `${prefix} `;
    if (parts.length === 0) return `${head}${open}${close}`;
    const line = `${head}${open} ${parts.join(", ")} ${close}`;
    if (line.length + state.indent <= WIDTH && !line.includes("\n")) return line;
    const pad = " ".repeat(state.indent);
    if (open === "[") parts = packed(parts, WIDTH - state.indent);
    return `${head}${open}\n${parts.map((part) => `${pad}  ${part}`).join(",\n")}\n${pad}${close}`;
  }

  const isIndex = (key) => typeof key === "string" && /^\d+$/.test(key);
  const never = () => false;

  // [prefix, brackets, parts] of everything that has an inside.
  function shape(value, state) {
    const name = classOf(value);
    if (Array.isArray(value)) {
      const items = list(value, state, write);
      return [name === "Array" ? "" : `${name}(${value.length})`, "[]", [...items, ...properties(value, state, isIndex)]];
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return [`${name}(${value.length})`, "[]", list(value, state, write)];
    }
    if (value instanceof Map) {
      const entry = ([key, item]) => `${write(key, state)} => ${write(item, state)}`;
      return [`${name}(${value.size})`, "{}", [...list(value, state, entry), ...properties(value, state, never)]];
    }
    if (value instanceof Set) {
      return [`${name}(${value.size})`, "{}", [...list(value, state, write), ...properties(value, state, never)]];
    }
    if (value instanceof ArrayBuffer) return [name, "{}", [`byteLength: ${value.byteLength}`]];
    const own = typeof value[host.inspected] === "function" ? value[host.inspected]() : value;
    return [name === "Object" ? "" : name, "{}", properties(own, state, never)];
  }

  function whole(value) {
    if (typeof value === "function") return functionText(value);
    if (value instanceof RegExp) return String(value);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof Error) return errorText(value);
    if (value instanceof Number || value instanceof String || value instanceof Boolean) {
      return `[${classOf(value)}: ${primitive(value.valueOf(), true)}]`;
    }
    return undefined;
  }

  function object(value, state) {
    if (state.path.includes(value)) return "[Circular *1]";
    const text = whole(value);
    const error = value instanceof Error;
    if (text !== undefined) {
      const skip = (key) => key === "stack" || key === "message" || key === "name";
      const inner = { ...state, path: [...state.path, value], indent: state.indent + 2 };
      const extra = state.path.length > state.depth ? [] : properties(value, inner, error ? skip : never);
      if (error && Object.hasOwn(value, "cause")) extra.push(`[cause]: ${write(value.cause, inner)}`);
      return extra.length === 0 ? text : layout(text, "{}", extra, state);
    }
    if (state.path.length > state.depth) return Array.isArray(value) ? "[Array]" : `[${classOf(value)}]`;
    const inner = { ...state, path: [...state.path, value], indent: state.indent + 2 };
    const [prefix, brackets, parts] = shape(value, inner);
    const body = layout(prefix, brackets, parts, state);
    // Only the value at the top carries the mark that [Circular *1] points to.
    return state.path.length === 0 && parts.some((part) => part.includes("[Circular *1]")) ? `<ref *1> ${body}` : body;
  }

  function write(value, state) {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return primitive(value, true);
    try {
      return object(value, state);
    } catch {
      return "[unreadable]"; // A proxy or getter that throws must not take the log line with it.
    }
  }

  const inspect = (value, depth = 2) => write(value, { depth, indent: 0, path: [] });

  const directives = {
    s: (value) => (typeof value === "object" && value !== null ? inspect(value, 0) : primitive(value, false)),
    d: (value) => (typeof value === "bigint" ? `${value}n` : String(Number(value))),
    i: (value) => (typeof value === "bigint" ? `${value}n` : String(parseInt(value, 10))),
    f: (value) => String(parseFloat(value)),
    j: (value) => JSON.stringify(value),
    o: (value) => inspect(value, 4),
    O: (value) => inspect(value),
    c: () => "",
  };

  // console.log's own rule: a format string first, the rest joined by spaces.
  function format(args) {
    const rest = [...args];
    const parts = [];
    if (typeof rest[0] === "string" && rest.length > 1) {
      const pattern = rest.shift();
      parts.push(pattern.replace(/%([sdifjoOc%])/g, (all, letter) =>
        letter === "%" ? "%" : rest.length === 0 ? all : directives[letter](rest.shift())));
    }
    for (const value of rest) parts.push(typeof value === "string" ? value : inspect(value));
    return parts.join(" ");
  }

  return { inspect, format };
});
