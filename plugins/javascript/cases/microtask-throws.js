// expect-failure: failed Error: from the microtask
queueMicrotask(() => { throw new Error("from the microtask"); });
await new Promise((resolve) => setTimeout(resolve, 500));
