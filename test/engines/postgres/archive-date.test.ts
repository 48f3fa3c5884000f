import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withoutDate } from "../../../src/engines/postgres/archive-date.ts";

const FIXTURES = "test/fixtures/postgres";
const archives = readdirSync(FIXTURES).filter(
  (name) => readFileSync(`${FIXTURES}/${name}`).subarray(0, 5).toString() === "PGDMP",
);

async function through(pieces: readonly Uint8Array[]): Promise<Buffer> {
  async function* source() {
    yield* pieces;
  }
  const out: Uint8Array[] = [];
  for await (const piece of withoutDate(source())) out.push(piece);
  return Buffer.concat(out);
}

describe("withoutDate", () => {
  it.each(archives)("changes nothing in %s but the date, however it is cut", async (name) => {
    const bytes = readFileSync(`${FIXTURES}/${name}`);

    const whole = await through([Buffer.from(bytes)]);
    const byBytes = await through(
      [...bytes.subarray(0, 200)].map((byte) => Uint8Array.of(byte)).concat([bytes.subarray(200)]),
    );

    expect(byBytes.equals(whole)).toBe(true);
    expect(whole.length).toBe(bytes.length);
    expect(whole.subarray(51).equals(bytes.subarray(51))).toBe(true);
    expect(whole.subarray(0, 16).equals(bytes.subarray(0, 16))).toBe(true);
    expect([...whole.subarray(16, 51)].filter((_, i) => i % 5 === 1)).toEqual([0, 0, 0, 1, 0, 70, 0]);
  });

  it("passes on what is shorter than any archive", async () => {
    expect((await through([Buffer.from("PGDMP")])).toString()).toBe("PGDMP");
  });
});
