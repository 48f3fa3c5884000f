import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createOne, openSite, WWW } from "../../helpers/open-site.ts";
import { NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

const TARGETS = `targets:
  staging:
    sources:
      www: {paths: ["{dir}/staging/site"]}`;

describe("a restore to a target of the config", () => {
  it("puts a tree under the target's paths, and leaves the source's own place alone", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);
    writeFileSync(join(www(site), "index.html"), "newer");

    const result = await restore(site.operations, { latest: true, target: "staging" });

    const staging = join(site.directory, "staging/site");
    expect(result.sources).toMatchObject([{ place: staging, status: "completed" }]);
    expect(namesIn(staging)).toEqual(namesIn(www(site)));
    expect(readFileSync(join(staging, "index.html"), "utf8")).toBe("<h1>hello</h1>");
    expect(readFileSync(join(www(site), "index.html"), "utf8")).toBe("newer");
  });

  it("removes with --delete only below the target's paths", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);
    mkdirSync(join(site.directory, "staging/site"), { recursive: true });
    for (const name of ["staging/site/extra", "staging/beside", "www/extra"])
      writeFileSync(join(site.directory, name), "");

    const request = { ...NOTHING_ASKED, latest: true, target: "staging", overwrite: true, delete: true };
    const plan = await site.operations.planRestore(request);
    await site.operations.restore(request, plan);

    expect(plan).toMatchObject({ inPlace: false, sources: [{ deletes: 1 }] });
    const names = namesIn(site.directory);
    expect(names).not.toContain("staging/site/extra");
    expect(names).toEqual(expect.arrayContaining(["staging/beside", "www/extra", "staging/site/index.html"]));
  });

  it("is refused for a target that nobody configured", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);

    const refused = restore(site.operations, { latest: true, target: "production" });

    await expect(refused).rejects.toMatchObject({ code: "TARGET_NOT_FOUND" });
  });
});
