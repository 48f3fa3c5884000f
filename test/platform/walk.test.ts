import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareNames } from "../../src/platform/walk.ts";

describe("the order of names", () => {
  it("puts what is in a directory directly behind it", () => {
    const names = ["a", "a.b", "a/b", "a/b/c", "a/b.c", "a\u0001", "b", ""].map((text) => Buffer.from(text));

    const sorted = names.sort(compareNames).map(String);

    expect(sorted).toEqual(["", "a", "a/b", "a/b/c", "a/b.c", "a\u0001", "a.b", "b"]);
  });

  it("is one: antisymmetric, transitive, equal only for equal bytes", () => {
    const name = fc
      .array(fc.constantFrom("/", "a", ".", "\u0000", "é"), { maxLength: 5 })
      .map((parts) => Buffer.from(parts.join("")));
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(Math.sign(compareNames(a, b))).toBe(-Math.sign(compareNames(b, a)) + 0);
        expect(compareNames(a, b) === 0).toBe(a.equals(b));
        if (compareNames(a, b) < 0 && compareNames(b, c) < 0) expect(compareNames(a, c)).toBeLessThan(0);
      }),
    );
  });
});
