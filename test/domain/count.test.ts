import { expect, test } from "vitest";
import { count } from "../../src/domain/count.ts";

test("one is singular, everything else plural", () => {
  expect([0, 1, 2].map((number) => count(number, "backup"))).toEqual(["0 backups", "1 backup", "2 backups"]);
  expect([1, 2].map((number) => count(number, "entry", "entries"))).toEqual(["1 entry", "2 entries"]);
});
