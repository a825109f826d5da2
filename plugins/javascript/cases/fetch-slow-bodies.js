// needs-params: base
// expect: true
const start = performance.now();
const texts = await Promise.all(Array.from({ length: 5 }, async () => (await fetch(`${params.base}/drip/4/40`)).text()));
const passed = performance.now() - start;
if (passed > 600) throw new Error(`took ${passed} ms`);
return texts.every((text) => text === "drip".repeat(4));
