import { describe, expect, it } from "vitest";
import { withStableRestrictKey } from "../../../src/engines/postgres/restrict-key.ts";

const script = (key: string, role = "anna") =>
  Buffer.from(`--\n\\restrict ${key}\nCREATE ROLE ${role};\n\\unrestrict ${key}\n`);

describe("withStableRestrictKey", () => {
  it("gives two scripts that differ in their key only the same bytes", () => {
    const once = withStableRestrictKey(script("abc")).toString();

    expect(withStableRestrictKey(script("xyz")).toString()).toBe(once);
    expect(once).toMatch(/^--\n\\restrict ([0-9a-f]{64})\nCREATE ROLE anna;\n\\unrestrict \1\n$/);
  });

  it("gives another key to another script", () => {
    expect(withStableRestrictKey(script("abc", "otto")).toString()).not.toContain(
      /restrict (\w+)/.exec(withStableRestrictKey(script("abc")).toString())?.[1],
    );
  });

  it("leaves a script without the command as it is, byte by byte", () => {
    const bytes = Buffer.from([0x2d, 0xff, 0x00, 0xc3, 0x0a]);

    expect(withStableRestrictKey(bytes).equals(bytes)).toBe(true);
  });
});
