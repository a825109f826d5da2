export default async function (params: { n?: number }): Promise<number> {
  return (params.n ?? 1) satisfies number;
}
