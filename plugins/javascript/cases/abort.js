// expect: ["AbortError","TimeoutError","why",true,1]
const controller = new AbortController();
let calls = 0;
controller.signal.addEventListener("abort", () => calls++);
controller.abort();
controller.abort();
const timed = AbortSignal.timeout(2);
await new Promise((resolve) => timed.addEventListener("abort", resolve));
const given = AbortSignal.abort("why");
return [controller.signal.reason.name, timed.reason.name, given.reason, AbortSignal.any([timed]).aborted, calls];
