// expect-failure: denied no access to the board
throw new Failure("denied", "no access to the board");
