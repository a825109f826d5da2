await fs.writeFile("data/b.txt", "two");
