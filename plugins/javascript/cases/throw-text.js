// expect-failure: failed just text
throw "just text";
