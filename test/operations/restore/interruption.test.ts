import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { restore } from "./tools.ts";

const ENTRIES = 2_000;

describe("a signal while entries are made that have no content", () => {
  it.each([
    ["empty files", (path: string) => fs.writeFileSync(path, "")],
    ["symlinks", (path: string) => fs.symlinkSync("nowhere", path)],
    ["folders", (path: string) => fs.mkdirSync(path)],
  ])("is heard before all %s are there, and leaves none", async (_, make) => {
    const stopping = new AbortController();
    const source = tempDir();
    for (let i = 0; i < ENTRIES; i++) make(join(source, `${i}`));
    const site = await openSite({
      sources: `  many: {engine: files, paths: ["${source}"]}`,
      signal: stopping.signal,
    });
    await createOne(site);
    const around = tempDir();

    const restored = restore(site.operations, { latest: true, to: join(around, "to") });
    const made = firstMadeIn(around, restored).finally(() => stopping.abort(new Error("stopped")));

    await expect(restored).rejects.toThrow("stopped");
    expect(await made).toBeLessThan(ENTRIES);
    expect(fs.readdirSync(around)).toEqual([]);
  });
});

/** How many entries there are when a timer first finds some. */
async function firstMadeIn(folder: string, writing: Promise<unknown>): Promise<number> {
  let ended = false;
  void writing.catch(() => undefined).finally(() => (ended = true));
  for (;;) {
    const made = fs.readdirSync(folder, { recursive: true }).length;
    if (made > 10 || ended) return made;
    await sleep(1);
  }
}
