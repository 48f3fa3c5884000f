import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliResult, runCli } from "../helpers/run-cli.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";

/** A place for backups, as a config names it and logs in to it. */
export interface EmptyMachinePlace {
  /** The options of the storage, `type` among them. */
  readonly storage: Readonly<Record<string, unknown>>;
  /** What must appear nowhere. */
  readonly secrets: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface EmptyMachineCase {
  /** The storage type, and how it is logged in to. */
  readonly name: string;
  /** Called once; `folder` is private and lasts as long as the suite. */
  place(folder: string): Promise<EmptyMachinePlace>;
}

const listed = z.object({ backups: z.array(z.object({ id: z.string(), mode: z.string() })) });

/** A machine that has nothing but a config with the storage and the key reads everything, and tells no secret. */
export function emptyMachineSuite({ name, place: placeIn }: EmptyMachineCase): void {
  describe(`an empty machine, from ${name},`, () => {
    const directory = suiteTempDir();
    const made = join(directory, "site");
    const empty = join(directory, "machine");
    const outputs: string[] = [];
    let place: EmptyMachinePlace;

    async function run(home: string, ...args: string[]): Promise<CliResult> {
      const { env = {} } = place;
      const result = await runCli([...args, "-v", "--config", join(home, "backup.config.yaml")], {
        home,
        cwd: home,
        env,
      });
      outputs.push(result.stdout, result.stderr);
      expect(result, `${args.join(" ")}: ${result.stderr.slice(-2000)}`).toMatchObject({ exitCode: 0 });
      return result;
    }

    beforeAll(async () => {
      for (const folder of [made, empty]) mkdirSync(folder);
      place = await placeIn(directory);
      const key = randomBytes(32).toString("hex");
      for (const home of [made, empty]) writeFileSync(join(home, "main.key"), key, { mode: 0o600 });
      const sources = `sources:
  www: {engine: files, paths: [${made}/www]}
  settings: {engine: command, command: [cat, ${made}/settings]}`;
      for (const home of [made, empty]) {
        writeFileSync(
          join(home, "backup.config.yaml"),
          `version: 1
name: site
state_dir: ${home}/state
storages:
  there: ${JSON.stringify(place.storage)}
encryption:
  keys:
    main: {provider: local, key_file: ${home}/main.key}
${home === made ? sources : ""}
`,
        );
      }
      mkdirSync(join(made, "www"));
      writeFileSync(join(made, "www/large.bin"), randomBytes(3_000_000));
      writeFileSync(join(made, "www/index.html"), "<h1>hello</h1>");
      writeFileSync(join(made, "settings"), "a=1\n");
      await run(made, "init");
      await run(made, "create");
      writeFileSync(join(made, "www/second.bin"), randomBytes(200_000));
      await run(made, "create", "--mode", "incremental");
    }, 120_000);

    it("knows the backups after `catalog rebuild`, and by itself", async () => {
      await run(empty, "catalog", "rebuild");
      const rebuilt = listed.parse((await run(empty, "list", "--json")).json());
      rmSync(join(empty, "state"), { recursive: true });

      const itself = listed.parse((await run(empty, "list", "--json")).json());

      expect(rebuilt.backups.map(({ mode }) => mode)).toEqual(["incremental", "full"]);
      expect(itself).toEqual(rebuilt);
    });

    it("verifies, restores and downloads them", async () => {
      await run(empty, "verify", "latest");
      await run(empty, "restore", "latest", "--to", join(empty, "restored"), "--yes");
      await run(empty, "download", "latest", "--to", join(empty, "downloaded"));

      const restored = join(empty, "restored/www", made, "www");
      for (const file of ["large.bin", "index.html", "second.bin"])
        expect(readFileSync(join(restored, file)).equals(readFileSync(join(made, "www", file))), file).toBe(true);
      expect(readdirSync(join(empty, "downloaded")).sort()).toEqual(["settings.out", "www.tar"]);
      expect(readFileSync(join(empty, "downloaded/settings.out"), "utf8")).toBe("a=1\n");
    });

    it("tells no secret, in what it prints or keeps", async () => {
      expect(outputs.length).toBeGreaterThan(10);
      const kept = [made, empty].flatMap((home) => filesBelow(join(home, "state")));
      for (const secret of place.secrets) {
        expect(
          outputs.filter((text) => text.includes(secret)),
          "printed",
        ).toEqual([]);
        expect(
          kept.filter((file) => readFileSync(file).includes(secret)),
          "kept",
        ).toEqual([]);
      }
    });
  });
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
