// expect: 2
const one = await Promise.resolve(1);
export default async (params) => one + 1;
