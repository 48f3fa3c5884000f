import { expect, it } from "vitest";
import { DamageError } from "../../../src/format/block.ts";
import type { OpenedSource } from "../../../src/operations/repository/backup-contents.ts";
import { packKeys } from "../../../src/operations/restore/facts.ts";

it("takes for damage an index that names objects which its root does not list, or places in no backup of the lineage", () => {
  const root = {
    lineage: [{ id: "a", path: "full/a" }],
    objects: [{ origin: "a", name: "www.tree" }, { origin: "b" }],
  };
  const opened = { root } as unknown as OpenedSource;

  expect(packKeys(opened, [{ object: 0, pack: 7 }])).toEqual(["full/a/www.tree.00000007"]);
  for (const object of [1, 2]) expect(() => packKeys(opened, [{ object, pack: 0 }])).toThrow(DamageError);
});
