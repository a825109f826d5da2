// expect: "mine"
const credentials = { API_TOKEN: "mine" };
return credentials.API_TOKEN;
