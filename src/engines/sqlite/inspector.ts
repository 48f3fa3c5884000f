import { openDatabase, openOwnDatabase, sqliteCode } from "./database.ts";
import type { Reply } from "./inspection.ts";
import { integrityProblems, readInventory, sqliteVersion } from "./inventory.ts";

/** The process that inspection.ts starts: `check FILE` for a file of this program's own, `count FILE` for one of others. */
const [what, file = ""] = process.argv.slice(2);

void inspect().then((reply) => process.stdout.write(JSON.stringify(reply)));

async function inspect(): Promise<Reply> {
  try {
    const database = await (what === "check" ? openOwnDatabase(file) : openDatabase(file, 0));
    try {
      const problems = what === "check" ? integrityProblems(database) : [];
      if (problems.length > 0) return { problems: [...problems] };
      return { problems: [], inventory: readInventory(database), version: sqliteVersion(database) };
    } finally {
      database.close();
    }
  } catch (error) {
    const code = sqliteCode(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    return { code, message: error.message };
  }
}
