// expect-failure: failed the script waits for a promise that nothing will settle
await new Promise(() => {});
return 1;
