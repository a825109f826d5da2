// expect: ["sync","micro","then","0","interval 1","5","interval 2","10"]
const seen = [];
const interval = setInterval(() => {
  seen.push(`interval ${seen.filter((text) => text.startsWith("interval")).length + 1}`);
  if (seen.includes("interval 2")) clearInterval(interval);
}, 4);
setTimeout(() => seen.push("10"), 15);
setTimeout(() => seen.push("5"), 6);
setTimeout((text) => seen.push(text), 0, "0");
clearTimeout(setTimeout(() => seen.push("never"), 1));
queueMicrotask(() => seen.push("micro"));
Promise.resolve().then(() => seen.push("then"));
seen.push("sync");
await new Promise((resolve) => setTimeout(resolve, 25));
return seen;
