import { describe, expect, test } from "vitest";
import type { RestorePlan } from "../../src/operations/operations.ts";
import { fullId, restorePlan, restoreResult, restoreSource } from "./fakes.ts";
import { run } from "./harness.ts";

function planning(changes: Partial<RestorePlan>) {
  return { operations: { planRestore: async () => ({ ...restorePlan, ...changes }) } };
}

const inPlace = planning({ inPlace: true, sources: [{ ...restoreSource, exists: true, place: "/srv/uploads" }] });

test.each(["--type database", "--component database", "--source shop"])(
  "%s alone means the newest backup that has it",
  async (option) => {
    const result = await run(`restore ${option} --to /tmp/look`);

    expect(result.requestOf("restore")).toMatchObject({ reference: undefined, latest: true, timestamp: undefined });
  },
);

test.each(["latest --timestamp 2026-01-11T04:00:00Z", "--latest --timestamp 2026-01-11T04:00:00Z"])(
  "%s means the newest there was then",
  async (words) => {
    const result = await run(`restore ${words} --to /tmp/look`);

    expect(result.requestOf("restore")).toMatchObject({
      reference: undefined,
      latest: true,
      timestamp: "2026-01-11T04:00:00Z",
    });
  },
);

test("into an empty place needs no yes, shows the plan, and then what was restored", async () => {
  const result = await run("restore latest --to /tmp/look");

  expect(result).toMatchObject({ exitCode: 0, questions: [] });
  expect(result.stderr).toContain(`restore of ${fullId}`);
  expect(result.stderr).toMatch(/fetches +1\.0 KiB in 1 pack from main/);
  expect(result.stdout).toContain("restored uploads to /tmp/look");
  expect(result.stdout).toContain("passed  entries: 3 of 3");
});

test("applies the very plan that was shown", async () => {
  const plans: unknown[] = [];
  const plan = { ...restorePlan, packs: 7 };
  const operations = {
    planRestore: async () => plan,
    restore: async (_request: unknown, given: RestorePlan) => {
      plans.push(given);
      return restoreResult;
    },
  };

  await run("restore latest --to /tmp/look", { operations });

  expect(plans).toEqual([plan]);
  expect(plans[0]).toBe(plan);
});

test.each(["", " --quiet"])("says each warning once, those of the plan before anything is done%s", async (quiet) => {
  const [known, later] = ["a copy is not used", "an owner is unknown"];
  const operations = {
    planRestore: async () => ({ ...restorePlan, warnings: [known] }),
    restore: async () => ({ ...restoreResult, warnings: [known, later] }),
  };

  const { stderr } = await run(`restore latest --to /tmp/look${quiet}`, { operations });

  expect(stderr.match(/warning: .*/g)).toEqual([`warning: ${known}`, `warning: ${later}`]);
});

describe("in place", () => {
  test("the site's name is typed, and nothing else is a yes", async () => {
    const right = await run("restore latest", { ...inPlace, terminal: true, answers: ["shop.example"] });
    const wrong = await run("restore latest", { ...inPlace, terminal: true, answers: ["yes"] });

    expect(right.questions).toEqual([
      "This replaces what is there. Type shop.example to restore to its own place on shop.example:",
    ]);
    expect(right.exitCode).toBe(0);
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain("NOT_CONFIRMED");
    expect(wrong.requestOf("restore")).toBeUndefined();
  });

  test("a plain yes is enough where nothing is there", async () => {
    const empty = planning({ inPlace: true, sources: [restoreSource] });

    const { questions, exitCode } = await run("restore latest", { ...empty, terminal: true, answers: [true] });

    expect(questions).toEqual(["Restore to its own place on shop.example?"]);
    expect(exitCode).toBe(0);
  });

  test("without a terminal, or with --json, only --yes goes on", async () => {
    for (const [line, terminal] of [
      ["restore latest", false],
      ["restore latest --json", true],
    ] as const) {
      const refused = await run(line, { ...inPlace, terminal });
      expect(refused.exitCode).toBe(2);
      expect(refused.requestOf("restore")).toBeUndefined();
    }
    expect((await run("restore latest --yes", inPlace)).exitCode).toBe(0);
  });
});

test("a target is asked for by a yes; where a database is dropped, by its name", async () => {
  const target = await run("restore latest --target staging", { terminal: true, answers: [true] });
  const dropped = await run("restore latest --target staging --drop-existing", {
    ...planning({ sources: [{ ...restoreSource, exists: true }] }),
    terminal: true,
    answers: ["staging"],
  });

  expect(target.questions).toEqual(["Restore to staging?"]);
  expect(dropped.questions[0]).toContain("Type staging");
  expect([target.exitCode, dropped.exitCode]).toEqual([0, 0]);
});

test("a place where files get replaced is asked for, and named in the plan", async () => {
  const options = planning({ sources: [{ ...restoreSource, exists: true, overwrites: ["logo.png"], deletes: 4 }] });

  const result = await run("restore latest --to /srv --overwrite", { ...options, terminal: true, answers: [true] });

  expect(result.questions).toEqual(["Restore to /srv?"]);
  expect(result.stderr).toMatch(/replaces +\S*logo\.png/);
  expect(result.stderr).toMatch(/deletes +\S*4 entries/);
});

test("what stands against the plan ends it before any question", async () => {
  const refusal = { code: "TARGET_NOT_EMPTY" as const, message: "/srv is not empty", hint: "Add --overwrite." };

  const result = await run("restore latest --to /srv --yes", planning({ refusals: [refusal] }));

  expect(result.exitCode).toBe(2);
  expect(result.stderr).toContain("error: TARGET_NOT_EMPTY: /srv is not empty\nhint: Add --overwrite.");
  expect(result.requestOf("restore")).toBeUndefined();
});

describe("a backup older than the allowed gap", () => {
  const gap = { seconds: 7200, exceeds: true, asked: "2026-01-11T04:00:00Z" };
  const line = "restore --timestamp 2026-01-11T04:00:00Z --to /tmp/look";

  test("is asked for on its own, also with --yes", async () => {
    const yes = await run(`${line} --yes`, { ...planning({ gap }), terminal: true, answers: [true] });
    const no = await run(`${line} --yes`, { ...planning({ gap }), terminal: true, answers: [false] });

    expect(yes.questions).toEqual([
      "The nearest backup is 2 h 0 min older than 2026-01-11T04:00:00Z. Restore that one?",
    ]);
    expect(yes.exitCode).toBe(0);
    expect(no.exitCode).toBe(2);
    expect(no.requestOf("restore")).toBeUndefined();
  });

  test("is refused without a terminal, whatever --yes says, with the option that accepts it", async () => {
    const result = await run(`${line} --yes`, planning({ gap }));

    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain("--max-gap 120m; --yes does not");
    expect(result.requestOf("restore")).toBeUndefined();
  });

  test.each([
    [61, "2m"],
    [86_400 * 3, "72h"],
    [86_400 * 365 * 4 + 1, "1461d"],
  ])("of %i seconds is accepted by --max-gap %s, which the option takes", async (seconds, written) => {
    const refused = await run(line, planning({ gap: { ...gap, seconds } }));
    const accepted = await run(`${line} --max-gap ${written}`);

    expect(refused.stderr).toContain(`--max-gap ${written};`);
    expect(accepted.exitCode).toBe(0);
  });

  test("is only shown by --dry-run, in text and JSON", async () => {
    const text = await run(`${line} --dry-run`, planning({ gap }));
    const json = await run(`${line} --dry-run --json`, planning({ gap }));

    expect(text).toMatchObject({ exitCode: 0, questions: [] });
    expect(text.stdout).toMatch(/gap +2 h 0 min: nothing after the backup comes back/);
    expect(json.json()).toMatchObject({
      dry_run: true,
      gap: { asked: gap.asked, seconds: 7200, exceeds_max_gap: true },
    });
  });

  test("within the allowed gap nobody is asked", async () => {
    const result = await run(line, { ...planning({ gap: { ...gap, seconds: 60, exceeds: false } }), terminal: true });

    expect(result).toMatchObject({ exitCode: 0, questions: [] });
    expect(result.json).toBeTypeOf("function");
  });
});

const [restored] = restoreResult.sources;
test.each([
  ["all failed", [{ ...restored, status: "failed" }], 1, "failed"],
  ["some failed", [restored, { ...restored, status: "failed" }], 3, "partial"],
  ["a part was skipped", [restored, { ...restored, status: "skipped" }], 3, "partial"],
  ["a check failed", [{ ...restored, checks: [{ name: "rows", passed: false, detail: "1 of 2" }] }], 4, "check_failed"],
])("the exit status says that %s", async (_name, sources, exitCode, status) => {
  const restore = async () => ({ ...restoreResult, sources }) as typeof restoreResult;

  const result = await run("restore latest --to /tmp/look --json", { operations: { restore } });

  expect(result.exitCode).toBe(exitCode);
  expect(result.json()).toMatchObject({ status });
});

test.each(["", " --quiet"])(
  "says on standard error why something did not come back, or is not what it was%s",
  async (quiet) => {
    const error = { code: "INSUFFICIENT_STORAGE", message: "there is no room", hint: "Free some." };
    const checks = [
      { name: "rows", passed: false, detail: "1 of 2" },
      { name: "entries", passed: true, detail: "3 of 3" },
    ];
    const sources = [
      { ...restored, checks },
      { ...restored, name: "shop", status: "failed", checks: [], error },
    ];
    const restore = async () => ({ ...restoreResult, sources }) as typeof restoreResult;

    const { stdout, stderr } = await run(`restore latest --to /tmp/look${quiet}`, { operations: { restore } });

    expect(stderr.match(/warning: .*/g)).toEqual([
      'warning: source "uploads" failed a check: rows: 1 of 2',
      'warning: source "shop" failed: INSUFFICIENT_STORAGE: there is no room. Free some.',
    ]);
    expect(stdout.match(/^failed shop|^ {2}FAILED {2}rows$/gm) ?? []).toHaveLength(quiet === "" ? 2 : 0);
  },
);

test("a plan says by when what was asked for can be read, and else how long that takes", async () => {
  const packs = { storage: "vault", packs: 2, bytes: 2048, thawMs: 18_000_000 };
  const asked = { ...packs, asked: 2, expectedAt: "2026-01-11T17:00:00.000Z" };
  const line = "restore 550e8400 --dry-run";

  expect((await run(line, planning({ frozen: [{ ...packs, asked: 0 }] }))).stdout).toContain(
    "2 packs of vault; takes up to 5 h 0 min",
  );
  expect((await run(line, planning({ frozen: [asked] }))).stdout).toContain(
    "2 packs of vault, 2 asked for already; can be read by 2026-01-11 17:00:00 UTC at the latest",
  );
  expect(JSON.parse((await run(`${line} --json`, planning({ frozen: [asked] }))).stdout).to_thaw).toEqual([
    { storage: "vault", packs: 2, bytes: 2048, asked: 2, seconds_at_most: 18_000, expected_at: asked.expectedAt },
  ]);
});
