// expect-failure: needs-approval delete 3 files
throw Failure.needsApproval("delete 3 files");
