// expect-failure: failed TypeError: 'oops' is no kind of failure: use one of invalid, denied, unavailable, failed, permanent, retryAfter, needsApproval
throw new Failure("oops", "x");
