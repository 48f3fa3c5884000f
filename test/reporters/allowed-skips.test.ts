import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllowedSkips, skipRuleFor } from "./allowed-skips.ts";

const page = (rows: string) =>
  `# Tests\n\n| \`x\` | not this table |\n\n## Allowed skips\n\n| Test | Reason |\n|---|---|\n${rows}\n\n## Next\n| \`y\` | nor this |\n`;

test("the table's rows are rules, other tables are not", () => {
  const rules = parseAllowedSkips(page("| `test/a.test.ts > locks` | needs a real disk |"));

  expect(rules).toEqual([{ prefix: "test/a.test.ts > locks", reason: "needs a real disk" }]);
  expect(skipRuleFor("test/a.test.ts > locks > two at once", rules)?.reason).toBe("needs a real disk");
  expect(skipRuleFor("test/b.test.ts > locks", rules)).toBeUndefined();
});

test("a rule without a reason and a page without the section are errors", () => {
  expect(() => parseAllowedSkips(page("| `test/a.test.ts` | |"))).toThrow("without a reason");
  expect(() => parseAllowedSkips("# Tests\n")).toThrow("no section");
});

test("docs/testing.md can be read", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/testing.md"), "utf8");

  expect(parseAllowedSkips(text)).toBeInstanceOf(Array);
});
