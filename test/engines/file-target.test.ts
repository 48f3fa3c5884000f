import * as fs from "node:fs";
import * as path from "node:path";
import { expect, test } from "vitest";
import { engineDefinitions } from "../../src/engines/registry.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { engineContext } from "../suites/engine-suite.ts";

/** The engines that make a file named as an entry are safe by themselves, whoever calls them. */

const OPTIONS = { sqlite: { path: "/" }, command: { command: "true" } };
const NAMES = ["", ".", "..", "../../escaped", "/escaped", "folder/escaped", "escaped\0"];
const CASES = Object.keys(OPTIONS).flatMap((engine) => NAMES.map((name) => ({ engine, name })));

test.each(CASES)("$engine restores nothing under the name $name", async ({ engine: type, name }) => {
  const around = tempDir();
  const options: Readonly<Record<string, unknown>> = OPTIONS;
  const engine = await engineDefinitions[type]?.open(options[type], {});
  const request = {
    to: `${path.join(around, "a/b/to")}/`,
    entries: [{ name, type: "database", offset: 0, size: 1 }],
    bytes: (async function* () {
      yield Buffer.from("x");
    })(),
    sizeBytes: 1,
    dropExisting: true,
    overwrite: true,
  };
  const context = await engineContext(tempDir());
  const refusal = { code: "BACKUP_CORRUPTED", message: expect.stringContaining(JSON.stringify(name)) };

  await expect(engine?.inspectTarget(request, context)).rejects.toMatchObject(refusal);
  await expect(engine?.restore?.(request, context)).rejects.toMatchObject(refusal);
  expect(fs.readdirSync(around)).toEqual([]);
});
