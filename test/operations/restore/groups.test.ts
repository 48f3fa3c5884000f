import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { noise } from "../../helpers/bytes.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { namesIn, restore, www } from "./tools.ts";

function sumsIn(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex"),
  );
}

it("files of many more bytes than are written at once come back whole, small ones and large ones", async () => {
  const site = await openSite();
  const folder = join(www(site), "uploads/many");
  mkdirSync(folder);
  for (let i = 0; i < 50; i++) writeFileSync(join(folder, `small-${i}`), noise(300_000, i));
  for (let i = 0; i < 2; i++) writeFileSync(join(folder, `large-${i}`), noise(12_000_000, 100 + i));
  await createOne(site);
  const to = join(site.directory, "to");

  await restore(site.operations, { latest: true, to });

  const names = namesIn(folder);
  expect(names).toHaveLength(52);
  expect(sumsIn(join(to, folder), names)).toEqual(sumsIn(folder, names));
});

it("more files than are written at once come back whole", async () => {
  const site = await openSite();
  const folder = join(www(site), "uploads/many");
  mkdirSync(folder);
  for (let i = 0; i < 4_200; i++) writeFileSync(join(folder, `${i}`), `file ${i}`);
  await createOne(site);
  const to = join(site.directory, "to");

  await restore(site.operations, { latest: true, to });

  const names = namesIn(folder);
  expect(names).toHaveLength(4_200);
  expect(sumsIn(join(to, folder), names)).toEqual(sumsIn(folder, names));
});
