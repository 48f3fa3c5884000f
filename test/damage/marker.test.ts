import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { decodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { openOperations } from "../../src/operations/open.ts";
import { flipped } from "../helpers/bytes.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { openFixtureSite } from "./fixture-site.ts";

const REFUSALS = ["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT"];

it("a marker with any bit flipped is refused, is of another repository, or was made at another time", async () => {
  const { repository, backups, ...site } = await openFixtureSite("sealed-zstd", tempDir());
  const file = path.join(repository, "backupctl.json");
  const sound = fs.readFileSync(file);
  const { repositoryId } = decodeRepositoryMarker(sound, "disk");
  const outcomes = new Map<string, number>();
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const outcome = outcomeOf(flipped(sound, bit), repositoryId);
    // One of each kind is looked at from end to end.
    if (!outcomes.has(outcome)) outcomes.set(outcome, bit);
  }
  expect([...outcomes.keys()].sort()).toEqual(["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT", "another", "the same"]);

  const [backup] = backups;
  if (backup === undefined) throw new Error("there are no backups");
  for (const [outcome, bit] of outcomes) {
    const operations = await openOperations(site.session);
    fs.writeFileSync(file, flipped(sound, bit));
    const { error, isUntouched } = await site.restore(operations, backup);
    await operations.close();
    if (outcome === "the same") expect(error).toBeUndefined();
    else
      expect({ error, isUntouched }).toMatchObject({ isUntouched: true, error: { code: expect.toBeOneOf(REFUSALS) } });
  }
});

function outcomeOf(bytes: Buffer, repositoryId: string): string {
  try {
    return decodeRepositoryMarker(bytes, "disk").repositoryId === repositoryId ? "the same" : "another";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
