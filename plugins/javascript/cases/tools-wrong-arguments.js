// expect: ["TypeError: a tool is called with an object of its params","TypeError: a tool is called with an object of its params","TypeError: a tool is called with an object of its params"]
const said = (params) => {
  try {
    tools.task.nightly(params);
  } catch (error) {
    return String(error);
  }
};
return [said(null), said([1]), said("x")];
