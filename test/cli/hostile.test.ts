import { expect, test } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { fakeOperations, progress } from "./fakes.ts";
import { run } from "./harness.ts";

/** Clears the screen, forges a line twice, turns the direction of what follows, moves the cursor by a C1 control. */
const EVIL = "x\u001b[2J\rforged\nforged\u202ex\u2066\u009b3A";

const LINES = [
  "create",
  "create --dry-run",
  "list",
  "list -v",
  "show latest",
  "status",
  "verify latest",
  "delete 550e8400 --dry-run",
  "delete 550e8400 --yes",
  "download latest --to out",
  "restore latest --to /tmp/look",
  "restore latest --dry-run",
  "restore latest --yes",
  "replicate",
  "replicate --dry-run",
  "hold 550e8400 --reason audit",
  "unhold 550e8400",
  "catalog rebuild",
  "config validate",
  "init",
];

/** Counts the places of an answer where a name could stand, and puts the evil one at one of them. */
class Planting {
  places = 0;
  readonly #at: number;

  constructor(at: number) {
    this.#at = at;
  }

  plant(value: unknown): unknown {
    if (typeof value === "string" || value === undefined || value === null) return this.#isHere() ? EVIL : value;
    if (Array.isArray(value)) return this.#isHere() ? [...value, EVIL] : value.map((item) => this.plant(item));
    if (typeof value !== "object") return value;
    const members = Object.entries(value).map(([name, member]) => [name, this.plant(member)]);
    return Object.fromEntries(this.#isHere() ? [...members, [EVIL, members[0]?.[1]]] : members);
  }

  #isHere(): boolean {
    this.places++;
    return this.places === this.#at;
  }
}

/** Every operation answers as it does elsewhere, but for one place. */
function planted(planting: Planting): Partial<Operations> {
  const names = Object.entries(fakeOperations([])).filter(([name]) => name !== "close");
  return Object.fromEntries(
    names.map(([name, answer]) => [
      name,
      async (...given: unknown[]) => planting.plant(await Reflect.apply(answer, undefined, given)),
    ]),
  );
}

test.each(LINES.flatMap((line) => [line, `${line} --json`]))(
  "%s prints no name that drives the terminal or forges a line, wherever it stands",
  async (line) => {
    const counting = new Planting(0);
    await run(line, { operations: planted(counting) });
    expect(counting.places).toBeGreaterThan(0);

    for (let at = 1; at <= counting.places; at++) {
      const { stdout, stderr } = await run(line, { operations: planted(new Planting(at)) });
      expectTame(stdout + stderr, `${line}, place ${at}`);
    }
  },
);

test("progress on a terminal shows a source's name, and is not driven by it", async () => {
  const verify: Operations["verify"] = async ({ onProgress }) => {
    onProgress?.({ ...progress, activity: EVIL, phase: EVIL });
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { backups: [], passed: true };
  };

  const { stderr } = await run("verify latest --no-color", { operations: { verify }, terminal: true, columns: 200 });

  // The drawing switches modes of the terminal, and nothing else.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  expectTame(stderr.replaceAll(/\u001b\[\?\d+[lh]/g, ""), "progress");
});

function expectTame(text: string, what: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  expect(text, what).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2066]|^forged/m);
}
