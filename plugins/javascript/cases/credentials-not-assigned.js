// expect-failure: denied NotAssignedError: no credential `API_TOKEN` is assigned to this execution
// expect-position: 3:31
return "unseen" + credentials.placeholder("API_TOKEN");
