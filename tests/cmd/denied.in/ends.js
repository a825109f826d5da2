throw new Failure("unavailable", "the service sleeps");
