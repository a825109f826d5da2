// expect: ["function","TypeError"]
const { readFile } = await import("fs/promises");
const refused = await import("https://example.com/x.js").catch((error) => error.name);
return [typeof readFile, refused];
