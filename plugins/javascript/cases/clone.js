// expect: [true,"Date","[[1,{\"a\":2}]]",true,"DataCloneError","RangeError"]
const circular = { list: [1, 2] };
circular.self = circular;
const copy = structuredClone(circular);
const map = structuredClone(new Map([[1, { a: 2 }]]));
let refused;
try {
  structuredClone({ f() {} });
} catch (error) {
  refused = error.name;
}
return [
  copy.self === copy && copy !== circular && copy.list !== circular.list,
  structuredClone(new Date(0)).constructor.name,
  JSON.stringify([...map]),
  structuredClone(new Uint8Array([1, 2]))[1] === 2,
  refused,
  structuredClone(new RangeError("x")).name,
];
