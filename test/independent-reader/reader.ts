import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import { manifestSchema } from "../../scripts/format-fixtures/manifest.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { SYSTEM_PYTHON } from "../servers/requirements.ts";

/** Runs read_backup.py, the reader that was written from docs/format.md alone. */

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");

export const manifest = manifestSchema.parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));

const partSchema = z.strictObject({
  type: z.string(),
  size: z.number(),
  sha256: z.string(),
  rows: z.array(z.string()).optional(),
});

const reportSchema = z.strictObject({
  backups: z.array(
    z.strictObject({
      id: z.string(),
      path: z.string(),
      type: z.string(),
      mode: z.string(),
      timestamp: z.string(),
      status: z.string(),
      encrypted: z.boolean(),
      parent_id: z.string().nullable(),
      notes: z.record(z.string(), z.unknown()),
      sources: z.record(
        z.string(),
        z.strictObject({
          kind: z.string(),
          status: z.string(),
          size: z.number(),
          place: z.string().optional(),
          entries: z.record(z.string(), partSchema).optional(),
        }),
      ),
    }),
  ),
  refused: z.array(
    z.strictObject({ backup: z.string().optional(), source: z.string().optional(), reason: z.string() }),
  ),
});

interface Secrets {
  readonly key?: string;
  readonly passphrase?: string;
  /** The id of a backup that no key proves. */
  readonly allow?: string;
}

export type ReadResult = z.infer<typeof reportSchema> & { readonly status: number | null; readonly to: string };

/** Restores everything in a repository; `to` is where. */
export function readAll(repository: string, { key, passphrase, allow }: Secrets = {}): ReadResult {
  const folder = tempDir();
  const to = path.join(folder, "to");
  fs.mkdirSync(to);
  const secret = (option: string, value: string | undefined): readonly string[] => {
    if (value === undefined) return [];
    fs.writeFileSync(path.join(folder, option), value);
    return [`--${option}`, path.join(folder, option)];
  };
  const options = [...secret("key-file", key), ...secret("passphrase-file", passphrase)];
  if (allow !== undefined) options.push("--allow-unencrypted", allow);
  const program = path.join(import.meta.dirname, "read_backup.py");
  const run = spawnSync(SYSTEM_PYTHON, ["-B", program, "restore", repository, to, ...options], {
    encoding: "utf8",
    env: {},
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.stderr !== "") throw new Error(`read_backup.py failed:\n${run.stderr}`);
  return { ...reportSchema.parse(JSON.parse(run.stdout)), status: run.status, to };
}

/** A copy of a fixture that a test may damage. */
export function copyOfFixture(name: string): string {
  const repository = path.join(tempDir(), "repository");
  fs.cpSync(path.join(FIXTURES, name), repository, { recursive: true });
  return repository;
}

export function fixture(name: string): string {
  return path.join(FIXTURES, name);
}
