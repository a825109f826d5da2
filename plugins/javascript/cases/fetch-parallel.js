// needs-params: base
// expect: [10,true]
const start = performance.now();
const all = await Promise.all(Array.from({ length: 10 }, async (_, index) => {
  const response = await fetch(`${params.base}/delay/100?n=${index}`);
  return (await response.json()).query;
}));
const passed = performance.now() - start;
if (passed > 600) throw new Error(`took ${passed} ms`);
return [new Set(all).size, passed >= 95];
