// expect-failure: failed RangeError: too far
// expect-position: 4:41
const items = [1];
/* ü */ items.forEach(() => { throw new RangeError("too far"); });
return 1;
