// expect: {"round":"grüß 😀","lone":"\ufffd","bad":"a\ufffdb","fatal":"TypeError","bom":"x","kept":"\ufeffx","stream":"€uro","into":{"read":1,"written":2},"base64":"aGk=","back":"hi","label":"RangeError"}
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const round = decoder.decode(encoder.encode("grüß 😀"));
const lone = decoder.decode(encoder.encode("\ud83d"));
const bad = decoder.decode(new Uint8Array([97, 0xff, 98]));
let fatal;
try {
  new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xc3]));
} catch (error) {
  fatal = error.name;
}
const bom = decoder.decode(new Uint8Array([0xef, 0xbb, 0xbf, 120]));
const kept = new TextDecoder("utf8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 120]));
const pieces = new TextDecoder();
const euro = encoder.encode("€uro");
const stream = [euro.slice(0, 1), euro.slice(1, 2), euro.slice(2)].map((piece) => pieces.decode(piece, { stream: true })).join("") + pieces.decode();
const into = encoder.encodeInto("üx", new Uint8Array(2));
let label;
try {
  new TextDecoder("latin1");
} catch (error) {
  label = error.name;
}
return { round, lone, bad, fatal, bom, kept, stream, into, base64: btoa("hi"), back: atob("aGk="), label };
