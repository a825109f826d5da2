// expect-failure: failed { code: 7 }
throw { code: 7 };
