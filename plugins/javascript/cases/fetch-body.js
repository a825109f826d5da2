// needs-params: base
// expect: [300000,300000,true,[1,2,3]]
const whole = (await (await fetch(`${params.base}/bytes/300000`)).arrayBuffer()).byteLength;
let pieces = 0;
let length = 0;
for await (const piece of (await fetch(`${params.base}/bytes/300000`)).body) {
  pieces += 1;
  length += piece.length;
}
const big = "x".repeat(400_000);
const echoed = await (await fetch(`${params.base}/echo`, { method: "POST", body: big })).json();
const made = [...(await new Response(new Uint8Array([1, 2, 3])).bytes())];
return [whole, length, echoed.body === big && pieces > 0, made];
