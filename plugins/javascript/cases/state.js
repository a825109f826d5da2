// expect: [null,{"n":[1]},["a","b"],["b"]]
const before = state.get("a") ?? null;
state.set("b", 1);
state.set("a", { n: [1] });
const all = state.keys();
const kept = state.get("a");
state.delete("a");
return [before, kept, all, state.keys()];
