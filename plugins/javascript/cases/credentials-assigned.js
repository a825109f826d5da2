// needs-credentials: API_TOKEN HOOK SIGNING_KEY
// expect: {"keys":["API_TOKEN","HOOK","SIGNING_KEY"],"in":[true,false],"kinds":["api_key","url","secret"],"same":[true,true,true,true,true],"address":true,"header":true,"missing":"undefined"}
const { API_TOKEN, ...rest } = credentials;
const list = credentials.list();
const fromList = Object.fromEntries(list.map(({ name, placeholder }) => [name, placeholder]));
const headers = new Headers({ Authorization: `Bearer ${credentials.API_TOKEN}` });
return {
  keys: Object.keys(credentials),
  in: ["API_TOKEN" in credentials, "OTHER" in credentials],
  kinds: list.map(({ kind }) => kind),
  same: [
    JSON.stringify(credentials) === JSON.stringify(fromList),
    API_TOKEN === credentials.placeholder("API_TOKEN"),
    rest.HOOK === credentials["HOOK"],
    Object.values(credentials).length === 3,
    JSON.stringify({ ...credentials }) === JSON.stringify(credentials),
  ],
  address: new URL(credentials.HOOK).href === credentials.HOOK,
  header: headers.get("authorization") === `Bearer ${API_TOKEN}`,
  missing: typeof credentials.OTHER,
};
