// expect: ["TypeError","TypeError","TypeError","TypeError",true,[]]
// A module, because only strict code is told of a write that did nothing.
const name = (run) => {
  try {
    run();
    return "none";
  } catch (error) {
    return error.name;
  }
};
export default () => [
  name(() => { credentials.API_TOKEN = "mine"; }),
  name(() => { Object.defineProperty(credentials, "API_TOKEN", { value: "mine" }); }),
  name(() => { Object.setPrototypeOf(credentials, { API_TOKEN: "mine" }); }),
  name(() => { credentials.list = () => []; }),
  Object.isFrozen(credentials),
  Object.keys(credentials),
];
