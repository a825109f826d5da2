// expect: 0
class Point {
  constructor() {
    this.x = 1;
    this.label = "it's";
  }
  get far() {
    return true;
  }
}
const circular = { name: "loop" };
circular.self = circular;
console.log("plain", 1, -0, 1n, null, undefined, true, Symbol("s"));
console.log({ a: 1, "b-c": [1, , 3], nested: { deep: { deeper: { deepest: 1 } } } });
console.log(new Point(), circular, [[[[1]]]], Object.create(null));
console.log(new Map([["k", { v: 1 }]]), new Set([1, "two"]), new Uint8Array([1, 2]), new ArrayBuffer(3));
console.log(new Date(0), /re/g, () => 1, class A {}, function named() {}, new Error("shown"));
console.log("%s is %d years and %i, %j %o %%", "Ada", 36.5, 36.5, { a: 1 }, [1], "rest");
console.log(Array.from({ length: 120 }, (_, index) => index));
console.log({ long: "x".repeat(50), longer: "y".repeat(50) });
console.group("group");
console.info("inside\ntwo lines");
console.groupEnd();
console.debug("debug");
console.warn("warn");
console.error(new TypeError("bad", { cause: new Error("why") }));
console.assert(1 === 2, "not equal");
console.table([{ a: 1, b: "x" }, { a: 2, c: true }]);
console.count();
console.count();
console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
console.log(new Proxy({}, { ownKeys() { throw new Error("no"); } }));
console.log(new Headers({ a: "b" }), new URL("http://h/?q"), Promise.resolve(1));
return 0;
