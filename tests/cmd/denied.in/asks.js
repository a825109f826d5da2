// /// wardroom
// read = ["data"]
// ///
return await fs.readFile("data/a.txt", "utf8");
