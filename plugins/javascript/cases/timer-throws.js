// expect-failure: failed Error: from the timer
setTimeout(() => { throw new Error("from the timer"); }, 1);
await new Promise((resolve) => setTimeout(resolve, 500));
return "not reached";
