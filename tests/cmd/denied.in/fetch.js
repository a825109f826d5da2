return (await fetch("https://api.example/items?key=1", { method: "POST" })).status;
