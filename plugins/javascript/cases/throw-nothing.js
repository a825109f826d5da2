// expect-failure: failed undefined
throw undefined;
