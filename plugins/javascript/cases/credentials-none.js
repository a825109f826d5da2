// expect: [true,false,[],"{}",null,[],"undefined","{}"]
const { API_TOKEN } = credentials;
if (credentials.API_TOKEN) return "assigned";
return [
  API_TOKEN === undefined,
  "API_TOKEN" in credentials,
  Object.keys(credentials),
  JSON.stringify(credentials),
  credentials.api ?? null,
  credentials.list(),
  typeof (await credentials).then,
  JSON.stringify(structuredClone(credentials)),
];
