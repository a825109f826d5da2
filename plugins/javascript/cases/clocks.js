// expect: [true,true,true]
const start = performance.now();
await new Promise((resolve) => setTimeout(resolve, 20));
const passed = performance.now() - start;
return [passed >= 19.9 && passed < 500, Date.now() > 1.7e12, new Date().getFullYear() >= 2024];
