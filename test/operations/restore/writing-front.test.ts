import { expect, it } from "vitest";
import { WritingFront } from "../../../src/operations/restore/writing-front.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");

/** Which of the names the front has passed by now. */
async function passed(front: WritingFront, ...names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const outcome = await Promise.race([
      front.passes(bytes(name)),
      new Promise((resolve) => setImmediate(resolve, "waits")),
    ]);
    if (outcome === true) found.push(name);
  }
  return found;
}

it("nothing is behind a front that has not moved", async () => {
  expect(await passed(new WritingFront(), "", "a")).toEqual([]);
});

it("a directory is behind it once something after all of its contents is written, in index order", async () => {
  const front = new WritingFront();
  const names = ["", "a", "a/b", "a/b-link", "a.b", "c"];

  front.advance(bytes("a/b/file"));
  expect(await passed(front, ...names)).toEqual([]);
  front.advance(bytes("a/b-other"));
  expect(await passed(front, ...names)).toEqual(["a/b", "a/b-link"]);
  front.advance(bytes("a.c"));
  expect(await passed(front, ...names)).toEqual(["a", "a/b", "a/b-link", "a.b"]);
  front.end();
  front.stop();
  expect(await passed(front, ...names)).toEqual(names);
});

it("who waits hears that a front was stopped", async () => {
  const front = new WritingFront();
  const waiting = front.passes(bytes("a"));

  front.stop();

  expect(await waiting).toBe(false);
  expect(await front.passes(bytes("b"))).toBe(false);
});
