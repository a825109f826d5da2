// expect: ["object","undefined","undefined"]
return [typeof process.env, typeof process.exit, typeof require];
