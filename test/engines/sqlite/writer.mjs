// Moves money between two tables and appends to a ledger, each time in one transaction, until it is killed.
import Database from "better-sqlite3";

const [file, journalMode] = process.argv.slice(2);
const database = new Database(file, { timeout: 30_000 });
database.pragma(`journal_mode = ${journalMode}`);
const take = database.prepare("update checking set balance = balance - ? where id = ?");
const give = database.prepare("update savings set balance = balance + ? where id = ?");
const note = database.prepare("insert into ledger (amount, filler) values (?, randomblob(2000))");
const move = database.transaction((amount, id) => {
  take.run(amount, id);
  note.run(amount);
  give.run(amount, id);
});
let moves = 0;
function next() {
  for (let i = 0; i < 20; i++) move(1 + (moves++ % 7), 1 + (moves % 100));
  if (moves === 20) process.send?.("writing");
  setImmediate(next);
}
next();
