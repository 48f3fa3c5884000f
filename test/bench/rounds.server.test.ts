import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { treeContenders } from "../../bench/contenders.ts";
import { filesBelow } from "../../bench/folders.ts";
import { benchmarksPage, sizePage } from "../../bench/page.ts";
import { pageOf, recordOf, updateRecord } from "../../bench/record.ts";
import { resultsOf } from "../../bench/results.ts";
import { runRound, type Sample, treeSubject } from "../../bench/rounds.ts";
import { openRestores, openScratch } from "../../bench/scratch.ts";
import { prepareSet, SIZE_SETS } from "../../bench/sets.ts";
import { measureStartup } from "../../bench/startup.ts";
import { type Sizes, treeOf } from "../../bench/trees.ts";
import { runCli } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const TINY: Sizes = {
  mixedBytes: 0,
  smallFiles: 120,
  largeFiles: 2,
  largeFileBytes: 1024 * 1024,
  databaseBytes: 0,
  manyEntries: 40,
  sparseBytes: 64 * 1024 * 1024,
  dumpBytes: 100_000,
};
const OURS = treeContenders().filter(({ needs }) => needs.length === 0);

describe("the bench", () => {
  it("takes backups and restores of a tree through all works, and leaves the tree as it was", async () => {
    const directory = tempDir();
    const tree = treeOf("small", TINY, directory);
    const { subject } = await prepareSet("small", TINY, directory);
    const before = filesBelow(tree).map(({ path }) => readFileSync(path, "hex"));
    const samples: Sample[] = [];

    await runRound(subject, OURS, { folder: join(directory, "round") }, (sample) => samples.push(sample));

    const done = samples.filter(({ contender }) => contender === "backupctl").map(({ work }) => work);
    expect(done).toEqual(["first", "unchanged", "changed", "restore", "one"]);
    expect(filesBelow(tree).map(({ path }) => readFileSync(path, "hex"))).toEqual(before);
    const results = resultsOf(samples);
    expect(results["small.first.backupctl.stored_bytes"]).toBeGreaterThan(TINY.smallFiles * 100);
    expect(results["small.first.backupctl.peak_memory_bytes"]).toBeGreaterThan(10e6);
    expect(results["small.first.backupctl.cpu_seconds"]).toBeGreaterThan(0);
    expect(results["small.changed.backupctl_no_verify.stored_bytes"]).toBeGreaterThan(0);
  });

  it("fails when a contender fails, or restores less than all", async () => {
    const directory = tempDir();
    const tree = treeOf("small", TINY, directory);
    const subject = treeSubject({
      set: "small",
      works: ["first", "restore"],
      folder: tree,
      files: filesBelow(tree),
    });
    const lazy = { title: "lazy", needs: [], variables: {}, prepare: "true" };
    const run = (key: string, scripts: Readonly<Record<string, string>>) =>
      runRound(subject, [{ ...lazy, key, scripts }], { folder: join(directory, "round") }, () => undefined);

    await expect(run("failing", { first: "true | false | true" })).rejects.toThrow("exit status 1");
    await expect(run("lazy", { restore: "true" })).rejects.toThrow("0 bytes instead of 491520");
  });

  it.each(SIZE_SETS)("takes a backup of the set %s and back, with its holes", async (set) => {
    const directory = tempDir();
    const { subject, contenders } = await prepareSet(set, TINY, directory);
    const samples: Sample[] = [];

    await runRound(subject, contenders, { folder: join(directory, "round") }, (sample) => samples.push(sample));

    const done = samples.filter(({ contender }) => contender === "backupctl");
    expect(done.map(({ work }) => work)).toEqual(subject.works);
    expect(resultsOf(samples)[`${set}.restore.backupctl.stored_bytes`]).toBeLessThan(6e6);
  });

  it("gives each round an empty folder, and leaves nothing of it", () => {
    const folder = join(tempDir(), "round");
    const scratch = openScratch(folder);
    scratch.renew();
    writeFileSync(join(folder, "left"), "");

    scratch.renew();

    expect(filesBelow(folder)).toEqual([]);
    scratch.remove();
    expect(existsSync(folder)).toBe(false);
  });

  it("gives each restore an empty folder in memory, where there is enough of it and one may be mounted", () => {
    const folder = join(tempDir(), "restored");
    const restores = openRestores(folder, 1_000_000);
    onTestFinished(() => restores?.remove());
    if (restores === undefined) return expect(existsSync(folder)).toBe(false);
    restores.renew();
    writeFileSync(join(folder, "left"), "");

    restores.renew();

    expect(filesBelow(folder)).toEqual([]);
    expect(openRestores(`${folder}-too-large`, 2 ** 50)).toBeUndefined();
  });

  it("measures what commands take where there are many backups, which are real ones", async () => {
    const folder = join(tempDir(), "startup");
    mkdirSync(folder);

    const samples = await measureStartup(OURS[0]!, { backups: 9, runs: 1 }, folder);

    expect(Object.values(samples).map(({ length }) => length)).toEqual(Array(9).fill(1));
    const config = ["--config", join(folder, "state/backup.config.yaml")];
    const verified = await runCli(["verify", "--all", "--json", ...config], { home: folder });
    expect(verified, verified.stderr).toMatchObject({ exitCode: 0 });
    // Those that the runs of create made came later.
    expect(verified.json()).toMatchObject({ backups: { length: 9 + 2 } });
  });
});

describe("results of the bench", () => {
  const sample = (contender: string, seconds: number): Sample => ({
    set: "mixed",
    work: "first",
    contender,
    seconds,
    cpuSeconds: seconds,
    peakMemoryBytes: 100e6,
    otherCores: 0,
    storedBytes: 10,
    bytes: 1000,
  });
  const samples = [1, 2, 9].flatMap((seconds) => [
    sample("backupctl", seconds),
    sample("backupctl_no_verify", seconds / 2),
    sample("restic", seconds * 3),
  ]);

  it("are medians, and ratios of them: above 1 backupctl is faster", () => {
    expect(resultsOf(samples)).toMatchObject({
      "mixed.first.backupctl.seconds": 2,
      "mixed.first.backupctl.bytes_per_second": 500,
      "mixed.first.time_vs_restic": 3,
      "mixed.first.no_verify.time_vs_restic": 6,
      "mixed.first.stored_vs_restic": 1,
    });
  });

  it("of one set take the place of that set's in the record, and of no other's", () => {
    const file = join(tempDir(), "benchmarks.json");
    const [ours, , restic] = treeContenders();
    const report = { description: "3 files", contenders: [ours!, restic!], works: ["first" as const] };
    const about = { "about.date": "2026-01-11", "about.commit": "abc1234", "about.other_cores": 0.1 };
    const first = resultsOf(samples.map((it) => ({ ...it, set: "small" })));
    const again = resultsOf(samples.map((it) => ({ ...it, seconds: it.seconds * 2 })));
    updateRecord(file, recordOf([{ ...report, set: "small" }], { ...first, ...resultsOf(samples) }, about));

    const record = updateRecord(
      file,
      recordOf([{ ...report, set: "mixed" }], again, { ...about, "about.commit": "def" }),
    );

    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(record);
    const page = benchmarksPage(pageOf(record));
    expect(page).toContain("## small: 3 files; 2026-01-11 at abc1234, 0.1 cores busy otherwise");
    expect(page).toContain("## mixed: 3 files; 2026-01-11 at def, 0.1 cores busy otherwise");
    expect(pageOf(record).results).toMatchObject({
      "small.first.backupctl.seconds": 2,
      "mixed.first.backupctl.seconds": 4,
    });
  });

  it("become a page that says which goals were reached", () => {
    const [ours, , restic] = treeContenders();
    const of = (set: "mixed" | "million") => ({ set, description: "3 files", contenders: [ours!, restic!] });
    const reports = [of("mixed"), of("million")].map((set) => ({ ...set, works: ["first" as const] }));
    const run = { reports, results: resultsOf(samples), about: { "about.cores": 2 } };

    const page = benchmarksPage(run);
    const ofSize = sizePage(run);

    expect(page).toMatch(/\| mixed files, first backup, speed against restic +\| ≥ 1.50 +\| 3.00 +\| yes +\|/);
    expect(page).toMatch(/\| first backup: time +\| 2.00 s +\| 6.00 s \(3.00\) +\|/);
    expect(page).toMatch(/\| small files, first backup, speed against restic +\| ≥ 1.30 +\| not measured +\|/);
    expect(page).toMatch(/\| cores +\| 2 +\|/);
    expect(page).not.toContain("## million");
    expect(ofSize).toMatch(/\| MB of memory, million, first backup +\| ≤ 400 MB +\| not measured +\|/);
    expect(ofSize).toContain("## million: 3 files");
    expect(ofSize).not.toContain("## mixed");
  });
});
