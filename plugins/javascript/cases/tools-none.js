// expect: [[],false,"undefined","NotGrantedError","denied","call `text.to-html` refused: no grant covers it"]
const refused = await tools.text.toHtml({}).catch((error) => [error.name, error.kind, error.message]);
return [Object.keys(tools), "task" in tools, typeof tools.then, ...refused];
