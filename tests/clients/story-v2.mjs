// By @modelcontextprotocol/client, in the mode that is named.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { story } from "./story.mjs";

const [binary, url, env, mode] = process.argv.slice(2);
const client = new Client({ name: "story", version: "1" }, { versionNegotiation: { mode } });
await client.connect(new StdioClientTransport({ command: binary, args: ["mcp"], env: JSON.parse(env) }));
await story(client, (name, args, options) => client.callTool({ name, arguments: args }, options), url, {
  binary,
  env: JSON.parse(env),
  modern: client.getNegotiatedProtocolVersion() >= "2026-07-28",
});
