import { expect, it } from "vitest";
import type { WrappingKey } from "../../src/format/keys-object.ts";
import { OpeningEffort } from "../../src/format/opening-effort.ts";

const SALT = Buffer.from("the salt of this");
const key: WrappingKey = {
  ...{ provider: "passphrase", name: "main", salt: SALT },
  seal: () => Promise.reject(new Error("seals nothing")),
  open: async () => undefined,
};

/** Of a wrap that wants a derivation of its own. */
function planted(number: number) {
  return { salt: `planted ${number}` };
}

/** How many wraps, each with its own salt, may be tried one after the other, none of which opens. */
function triesOf(effort: OpeningEffort, from: number): number {
  for (let number = from; ; number++) {
    if (!effort.allows(key, planted(number))) return number - from;
    effort.note(key, planted(number), false);
  }
}

it("tries what opens nothing so often at most, and then again only what it derived before", () => {
  const effort = new OpeningEffort();

  expect(triesOf(effort, 0)).toBe(96);
  expect(effort.refused).toBe(1);
  expect(effort.allows(key, planted(95))).toBe(true);
  expect(effort.allows(key, { salt: SALT.toString("base64") })).toBe(true);
  expect(effort.allows({ ...key, name: "other" }, planted(95))).toBe(false);
  expect(effort.refused).toBe(2);
});

it("goes on where keys open something", () => {
  const effort = new OpeningEffort();
  triesOf(effort, 0);

  effort.note(key, planted(0), true);
  effort.note(key, planted(0), false);

  expect(effort.allows(key, planted(0))).toBe(true);
  // One that failed before is no failure any more, and each that opens stands for four.
  expect(triesOf(effort, 1_000)).toBe(5);
});

it("asks nothing of keys that derive nothing", () => {
  const effort = new OpeningEffort();
  const { salt: _, ...plain } = key;
  triesOf(effort, 0);

  expect(effort.allows(plain, planted(1_000))).toBe(true);
});
