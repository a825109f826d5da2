// needs-params: base
// expect: ["TimeoutError","AbortError",true]
const start = performance.now();
const slow = (signal) => fetch(`${params.base}/delay/3000`, { signal }).then(() => "none", (error) => error.name);
const controller = new AbortController();
setTimeout(() => controller.abort(), 20);
const names = await Promise.all([slow(AbortSignal.timeout(30)), slow(controller.signal)]);
return [...names, performance.now() - start < 1000];
