throw new Error("here"); // expect-failure: failed Error: here
// expect-position: 1:11
