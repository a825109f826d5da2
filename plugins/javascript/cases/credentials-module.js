// expect: ["function",true]
export default () => [typeof credentials.list, credentials.API_TOKEN === undefined];
