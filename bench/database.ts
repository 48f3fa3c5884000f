import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type PostgresServer, startPostgres } from "../test/servers/postgres.ts";

const NAME = "bench";
/** What a row takes in a dump. */
const BYTES_PER_ORDER = 213;

export interface Database {
  /** Of a dump. */
  readonly bytes: number;
  /** $DUMP prints one. */
  readonly variables: { readonly DUMP: string };
  /** The source as backupctl's configuration has it. */
  readonly source: string;
  change(): Promise<void>;
  stop(): Promise<void>;
}

/** A private server with a shop's orders, made anew each time. */
export async function startDatabase(bytes: number): Promise<Database> {
  const server = await startPostgres({ settings: { max_wal_size: "4GB", autovacuum: "off" } });
  const rows = Math.ceil(bytes / BYTES_PER_ORDER);
  await server.createDatabase(NAME);
  await server.sql(NAME, ordersSql(rows));
  const { binDir, host, port, user } = server;
  const dump = `${join(binDir, "pg_dump")} -h ${host} -p ${port} -U ${user} -Fc -Z0 ${NAME}`;
  return {
    bytes: dumpBytes(dump),
    variables: { DUMP: dump },
    source: `{engine: postgres, host: ${host}, port: ${port}, user: ${user}, database: ${NAME}}`,
    change: () => changeOnePercent(server, rows),
    stop: () => server.stop(),
  };
}

function ordersSql(rows: number): string {
  return `
    create table orders (
      id bigint primary key, customer uuid not null, email text not null, placed timestamptz not null, total numeric(10,2) not null,
      paid boolean not null, note text not null
    );
    select setseed(0.5);
    insert into orders select
      i, md5((i % 100000)::text)::uuid, 'customer' || (i % 100000) || '@example.com', timestamptz '2025-01-01' + i * interval '7 s',
      (random() * 900)::numeric(10,2), random() < 0.9,
      'please deliver to the ' || (array['front door', 'neighbour', 'office', 'garage'])[1 + (random() * 3)::int]
        || ', reference ' || md5(i::text || 'reference') || ', gift ' || (random() < 0.1)
      from generate_series(1, ${rows}) i;
    vacuum analyze orders;`;
}

/** The newest rows, as in a shop: some change, as many are added as are removed at the other end. */
async function changeOnePercent(server: PostgresServer, rows: number): Promise<void> {
  const part = Math.ceil(rows / 300);
  await server.sql(
    NAME,
    `update orders set note = note || ', changed', paid = not paid where id > (select max(id) from orders) - ${part};
     insert into orders select id + ${part}, customer, email, placed, total, paid, note from orders
       where id > (select max(id) from orders) - ${part};
     delete from orders where id < (select min(id) from orders) + ${part};`,
  );
}

function dumpBytes(dump: string): number {
  const output = execFileSync("bash", ["-o", "pipefail", "-c", `${dump} | wc -c`], { encoding: "utf8" });
  return Number(output);
}
