import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { forge } from "../helpers/forge.ts";
import { fuzz, jsonText, mutatedBytes, mutatedJson, mutatedLines } from "../helpers/fuzz.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const PROGRAM = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const OPEN = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";
const SEALED = "full/incremental/2026-01-11/incremental-03-00-00-8654e6f3";

const directory = suiteTempDir();
const answerSchema = z.object({ status: z.number(), output: z.string() });
const runner = spawn(process.execPath, [path.join(import.meta.dirname, "run-many.mjs"), PROGRAM], {
  stdio: ["pipe", "pipe", "inherit"],
});
const answers = createInterface({ input: runner.stdout })[Symbol.asyncIterator]();
let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => {
  runner.stdin.end();
  await pool.close();
});

async function recover(...args: readonly string[]) {
  runner.stdin.write(`${JSON.stringify(args)}\n`);
  const { value = "" } = await answers.next();
  return answerSchema.parse(JSON.parse(value));
}

/** Lists and restores; whatever lies there, the outcome is one of the statuses of the help, and nothing raw reaches the terminal. */
async function expectSenseOf(repository: string, backup: string, source: string, options: readonly string[]) {
  const outside = fs.mkdtempSync(path.join(directory, "outside-"));
  const to = path.join(outside, "to");
  try {
    for (const args of [
      ["list", repository, ...options],
      ["restore", repository, backup, source, "--to", to, "--allow-unencrypted", ...options],
    ]) {
      const { status, output } = await recover(...args);
      expect([0, 1, 2, 4, 12], output).toContain(status);
      expect(output).not.toContain("    at ");
      // What JavaScript says of a value that is not as it should be.
      expect(output).not.toMatch(/Cannot |not a function|not iterable|must be (of|one)|out of range/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it is about
      expect(output).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
    expect(fs.readdirSync(outside).filter((name) => name !== "to")).toEqual([]);
  } finally {
    fs.rmSync(outside, { recursive: true });
  }
}

function copyOf(fixture: string): string {
  const repository = path.join(directory, `${fixture}-${fs.readdirSync(directory).length}`);
  fs.cpSync(path.join(FIXTURES, fixture), repository, { recursive: true });
  return repository;
}

function strangeObject(bytes: Buffer): fc.Arbitrary<string | Buffer> {
  return fc.oneof<[fc.Arbitrary<string>, fc.Arbitrary<Buffer>]>(
    mutatedJson(JSON.parse(bytes.toString("utf8"))).map(jsonText),
    mutatedBytes(bytes),
  );
}

test("any metadata, keys or pack as they lie there", async () => {
  const repository = copyOf("sealed-gzip");
  const folder = path.join(repository, SEALED);
  const { key } = z
    .object({ key: z.string() })
    .parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));
  const keyFile = path.join(directory, "key");
  fs.writeFileSync(keyFile, key);
  const objects = fs
    .readdirSync(folder)
    .filter((name) => /^(metadata|keys-|notes\.)/.test(name))
    .map((name) => ({ name, bytes: fs.readFileSync(path.join(folder, name)) }));
  const inputs = fc.constantFrom(...objects).chain(({ name, bytes }) =>
    (name.endsWith(".json") ? strangeObject(bytes) : mutatedBytes(bytes)).map((strange) => ({
      name,
      bytes,
      strange,
    })),
  );

  await fuzz(inputs, async ({ name, bytes, strange }) => {
    fs.writeFileSync(path.join(folder, name), strange);
    await expectSenseOf(repository, "8654e6f3", "notes", ["--key-file", keyFile]);
    fs.writeFileSync(path.join(folder, name), bytes);
  });
});

test.each([
  ["index", "notes"],
  ["root", "notes"],
  ["index", "app"],
] as const)("any %s of %s that somebody rewrote, every sum right", async (part, source) => {
  const place = { directory: OPEN, source };
  const temporary = { pool, directory: path.join(directory, `${part}-${source}`) };
  fs.mkdirSync(temporary.directory);
  const forged = async (edit: (lines: readonly string[]) => readonly string[]): Promise<string> => {
    const repository = copyOf("open-zstd");
    await forge(repository, place, { [part]: edit }, temporary);
    fs.rmSync(temporary.directory, { recursive: true });
    fs.mkdirSync(temporary.directory);
    return repository;
  };
  let honest: readonly string[] = [];
  await forged((lines) => {
    honest = lines;
    return lines;
  });

  await fuzz(mutatedLines(honest), async (bytes) => {
    const repository = await forged(() => bytes.toString("utf8").split("\n").slice(0, -1));
    await expectSenseOf(repository, "8e24a759", place.source, []);
    fs.rmSync(repository, { recursive: true });
  });
});
