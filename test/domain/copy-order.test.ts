import { expect, it } from "vitest";
import { orderOfCopies } from "../../src/domain/copy-order.ts";

const CLOUD = { name: "cloud", local: false };
const OFFSITE = { name: "offsite", local: false };
const DISK = { name: "disk", local: true };

function copiesIn(states: Readonly<Record<string, string>>) {
  return Object.entries(states).map(([storage, state]) => ({ storage, state }));
}

it.each([
  [
    "this host first, then as configured",
    { cloud: "complete", offsite: "complete", disk: "complete" },
    "disk cloud offsite",
  ],
  [
    "one that is known to be damaged last, on this host or not",
    { cloud: "complete", offsite: "complete", disk: "damaged" },
    "cloud offsite disk",
  ],
  [
    "of those that are not whole the damaged first, then what was begun",
    { cloud: "missing", offsite: "pending", disk: "damaged" },
    "disk offsite cloud",
  ],
  [
    "one of which nothing is known behind those that are whole",
    { cloud: "complete", offsite: "damaged" },
    "cloud disk offsite",
  ],
  ["all, where nothing is known", {}, "disk cloud offsite"],
])("copies are read: %s", (_, states, expected) => {
  expect(orderOfCopies([CLOUD, OFFSITE, DISK], copiesIn(states)).join(" ")).toBe(expected);
});
