state.set("runs", 1);
