// expect-failure: retry-after {"after-ms":90000,"reason":"rate limit"}
export default async () => {
  throw Failure.retryAfter("rate limit", 90_000);
};
