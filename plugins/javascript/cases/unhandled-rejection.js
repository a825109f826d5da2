// expect: "fine"
Promise.reject(new Error("nobody looks"));
const handled = Promise.reject(new Error("handled later"));
await null;
handled.catch(() => {});
return "fine";
