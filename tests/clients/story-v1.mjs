// By @modelcontextprotocol/sdk.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { story } from "./story.mjs";

const [binary, url, env] = process.argv.slice(2);
const client = new Client({ name: "story", version: "1" });
await client.connect(new StdioClientTransport({ command: binary, args: ["mcp"], env: JSON.parse(env) }));
await story(client, (name, args, options) => client.callTool({ name, arguments: args }, undefined, options), url, {
  binary,
  env: JSON.parse(env),
  modern: false,
});
