// expect: "then"
export default () => ({ then: (resolve) => resolve("then") });
