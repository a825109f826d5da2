// expect-failure: denied NotGrantedError: sqlite `app.db` refused: no grant covers it
// expect-position: 4:4
const db = sqlite.open("app.db");
db.query("SELECT 1");
