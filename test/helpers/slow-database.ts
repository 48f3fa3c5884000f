import Database from "better-sqlite3";

/** A small sound database that `PRAGMA integrity_check` needs minutes for: it computes what the index should hold for each row. */
export function makeSlowDatabase(file: string, journalMode = "delete"): void {
  const database = new Database(file);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec(`
    create table slow (id integer primary key, x integer);
    create index by_x on slow (x);
    with recursive n(id) as (select 1 union all select id + 1 from n where id < 20000) insert into slow select id, id from n;
  `);
  database.unsafeMode();
  database.exec(`
    pragma writable_schema = 1;
    update sqlite_schema set sql = 'create index by_x on slow (x + 0 * length(replace(hex(zeroblob(1000000 + x)), ''00'', ''x'')))'
      where name = 'by_x';
  `);
  database.close();
}
