const items = [1];
items.forEach((item) => {
  throw new RangeError(`no ${item}`);
});
