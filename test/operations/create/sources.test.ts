import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DumpContext, TreeDump, TreeNode } from "../../../src/engines/engine.ts";
import { type OpenSite, openSite, withEngine } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

/** Backs the site up; something happens at the start of the dump, or between the listing of its entries and their reading. */
async function createWith(
  site: OpenSite,
  { onDump, onListed }: { readonly onDump?: (context: DumpContext) => void; readonly onListed?: () => void },
) {
  async function* listedFirst(nodes: TreeDump["nodes"]): TreeDump["nodes"] {
    const groups: (readonly TreeNode[])[] = [];
    for await (const group of nodes) groups.push(group);
    onListed?.();
    yield* groups;
  }
  const operations = await withEngine(site, "files", {
    engine: (engine) => ({
      ...engine,
      dump: async (context) => {
        onDump?.(context);
        const dump = await engine.dump(context);
        return dump.shape === "tree" ? { ...dump, nodes: listedFirst(dump.nodes) } : dump;
      },
    }),
  });
  return operations.create(NO_CHOICES);
}

describe("a source", () => {
  it("that has no file any more is no complete backup, once", async () => {
    const site = await openSite();
    const first = await createWith(site, {});
    const www = join(site.directory, "www");
    rmSync(www, { recursive: true });
    mkdirSync(www);

    const { backup, sources, warnings } = await createWith(site, {});
    const again = await createWith(site, {});

    const had = new RegExp(`^any file: it has none, and had [0-9]+ files in backup ${first.backup?.id}$`);
    expect(backup?.status).toBe("completed_with_errors");
    expect(sources).toMatchObject([{ status: "completed_with_errors", unreadable: [expect.stringMatching(had)] }]);
    expect(warnings).toContainEqual(expect.stringContaining('source "www": it has no file now, and had '));
    expect(again.backup?.status).toBe("completed");
    expect(again.warnings).toEqual([`source "www": ${www} is empty: is its file system mounted?`]);
  });

  it("of which a file vanishes before it is read is backed up without it, with an error that names it", async () => {
    const site = await openSite();
    const gone = join(site.directory, "www/uploads/small.txt");

    const { backup, sources } = await createWith(site, { onListed: () => rmSync(gone) });

    expect(backup?.status).toBe("completed_with_errors");
    expect(sources).toMatchObject([{ status: "completed_with_errors", unreadable: [`${gone} (ENOENT)`] }]);
  });

  it("of which a file never stands still is backed up with a warning that names it", async () => {
    const site = await openSite();
    const log = join(site.directory, "www/uploads/large.bin");
    let running = true;
    const grow = (): void => {
      if (!running) return;
      appendFileSync(log, "line\n");
      setImmediate(grow);
    };

    const { backup, warnings } = await createWith(site, { onListed: grow }).finally(() => {
      running = false;
    });

    expect(backup?.status).toBe("completed");
    expect(warnings).toEqual([`source "www": ${log} changed while it was read`]);
  });

  it("has what its engine warns of told under its name", async () => {
    const site = await openSite();

    const { warnings } = await createWith(site, { onDump: ({ warn }) => warn("a page is torn") });

    expect(warnings).toEqual(['source "www": a page is torn']);
  });
});
