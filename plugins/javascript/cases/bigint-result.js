// expect-failure: failed TypeError: BigInt are forbidden in JSON.stringify
return 1n;
