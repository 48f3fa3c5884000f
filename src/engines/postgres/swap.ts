import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { openSession, quoteIdentifier, type Session } from "./session.ts";
import { databaseExists, dropDatabase, endSessions, nameBeside } from "./target-database.ts";

const TERMINATE_EVERY_MS = 100;

interface Swap {
  readonly connection: Connection;
  readonly adminDatabase: string;
  /** The restored database. */
  readonly from: string;
  /** The name it gets. */
  readonly to: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

/**
 * Gives the restored database its name, and removes the one that had it. Both renames are one transaction, so that a kill at
 * any point leaves the old database or the new one under the name, never none; so does an abort. Returns warnings.
 */
export async function swapDatabases(swap: Swap): Promise<readonly string[]> {
  const admin = await openSession(swap.connection, swap.adminDatabase, swap.signal);
  try {
    if (!(await databaseExists(admin, swap.to))) {
      await admin.execute(`alter database ${quoteIdentifier(swap.from)} rename to ${quoteIdentifier(swap.to)}`);
      return [];
    }
    const replaced = nameBeside(swap.to, "replaced", swap.token);
    await renameBoth(admin, swap, replaced);
    // from here on the new database is in place: what is left can only waste space
    return await dropDatabase(admin, replaced).then(
      () => [],
      (error: unknown) => [`the replaced database "${replaced}" could not be dropped: ${messageOf(error)}`],
    );
  } finally {
    await admin.close();
  }
}

/**
 * The first rename takes the database's lock, which holds up new connections, and then waits five seconds for those that are
 * there to go: so sessions are ended from beside while it waits, and none can come back.
 */
async function renameBoth(admin: Session, swap: Swap, replaced: string): Promise<void> {
  const beside = await openSession(swap.connection, swap.adminDatabase, swap.signal);
  const renamed = new AbortController();
  const ending = endSessionsUntil(beside, swap.to, renamed.signal);
  try {
    await admin.execute("begin");
    await admin.execute(`alter database ${quoteIdentifier(swap.to)} rename to ${quoteIdentifier(replaced)}`);
    await admin.execute(`alter database ${quoteIdentifier(swap.from)} rename to ${quoteIdentifier(swap.to)}`);
    await admin.execute("commit");
  } catch (error) {
    await admin.execute("rollback").catch(() => undefined);
    throw error;
  } finally {
    renamed.abort();
    await ending;
    await beside.close();
  }
}

async function endSessionsUntil(session: Session, database: string, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    // a refusal shows as the rename's failure, which says what is in the way
    await endSessions(session, database).catch(() => undefined);
    await sleep(TERMINATE_EVERY_MS, undefined, { signal: done }).catch(() => undefined);
  }
}
