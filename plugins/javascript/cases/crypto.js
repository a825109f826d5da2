// expect: [true,true,"QuotaExceededError","TypeError",true]
const bytes = crypto.getRandomValues(new Uint8Array(32));
const name = (run) => {
  try {
    run();
  } catch (error) {
    return error.name;
  }
};
return [
  bytes.some((byte) => byte !== 0),
  /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
  name(() => crypto.getRandomValues(new Uint8Array(65537))),
  name(() => crypto.getRandomValues([1])),
  Math.random() !== Math.random(),
];
