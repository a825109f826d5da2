// The suite knows no tokens: every request that it sends, in either of its two
// ways, gets the one of the server that it judges.
import { subscribe } from "node:diagnostics_channel";

const { WARDROOM_MCP_URL, WARDROOM_MCP_TOKEN } = process.env;
const { origin, host } = new URL(WARDROOM_MCP_URL);
const value = `Bearer ${WARDROOM_MCP_TOKEN}`;
subscribe("undici:request:create", ({ request }) => {
  if (String(request.origin) === origin) request.addHeader("authorization", value);
});
subscribe("http.client.request.created", ({ request }) => {
  if (request.getHeader("host") === host) request.setHeader("authorization", value);
});
