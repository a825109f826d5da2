// expect-failure: failed AggregateError: Error: a; Error: b
await Promise.any([Promise.reject(new Error("a")), Promise.reject(new Error("b"))]);
