// expect: ["RangeError","RangeError","RangeError","RangeError"]
const deep = [
  () => { const f = () => [1].map(f); f(); },
  () => { const f = () => JSON.stringify({ toJSON: f }); f(); },
  () => { const o = { get a() { return Reflect.get(o, "a"); } }; o.a; },
  () => { const f = () => "x".replace(/x/, f); f(); },
];
return deep.map((run) => {
  try {
    run();
  } catch (error) {
    return error.name;
  }
});
