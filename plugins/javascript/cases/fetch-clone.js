// needs-params: base
// expect: [5000,5000,5000,true]
const response = await fetch(`${params.base}/bytes/5000`);
const copy = response.clone();
const [one, two] = await Promise.all([response.text(), copy.bytes()]);
const third = await fetch(`${params.base}/bytes/5000`);
const twin = third.clone();
let length = 0;
for await (const piece of twin.body) length += piece.length;
return [one.length, two.length, length, third.bodyUsed === false];
