// expect-failure: failed Error: first
state.set("runs", (state.get("runs") ?? 0) + 1);
if (state.get("runs") > 1) throw new Error("second");
throw new Error("first");
