import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { run, words } from "../cli/harness.ts";

const ROOT = join(import.meta.dirname, "../..");
const FOLDER = join(ROOT, "examples/container");
const DOCKERFILE = readFileSync(join(FOLDER, "Dockerfile"), "utf8");
const COMPOSE = readFileSync(join(FOLDER, "compose.yaml"), "utf8");

const INSTRUCTIONS = ["FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "ENTRYPOINT", "CMD"];
const list = z.array(z.string());

function instructionsOf(dockerfile: string): readonly (readonly [name: string, value: string])[] {
  const text = dockerfile.replace(/^\s*#.*\n/gm, "").replaceAll("\\\n", " ");
  return text.split("\n").flatMap((line) => {
    const [, name, value] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value.trim()] as const];
  });
}

describe("examples/container/Dockerfile", () => {
  const instructions = instructionsOf(DOCKERFILE);
  const instruction = (name: string): string => instructions.findLast(([each]) => each === name)?.[1] ?? "";

  test("has known instructions only, and stages that exist", () => {
    const stages = instructions.flatMap(([name, value]) => (name === "FROM" ? [/ AS (\w+)$/.exec(value)?.[1]] : []));
    const copiedFrom = [...DOCKERFILE.matchAll(/--from=(\w+)/g)].map(([, stage]) => stage);

    expect(instructions.map(([name]) => name).filter((name) => !INSTRUCTIONS.includes(name))).toEqual([]);
    expect(copiedFrom.filter((stage) => !stages.includes(stage))).toEqual([]);
  });

  test("copies what a build leaves", () => {
    const copied = [...DOCKERFILE.matchAll(/^COPY --from=build \/opt\/backupctl\/(\S+)/gm)].map(
      ([, path = ""]) => path,
    );

    expect(copied).toContain("dist");
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test("starts the launcher, which it links to where it is, with a command that the program takes", async () => {
    const entrypoint = list.parse(JSON.parse(instruction("ENTRYPOINT")));
    const command = list.parse(JSON.parse(instruction("CMD")));
    const [, target = "", link] = /ln -s (\S+) (\S+)/.exec(DOCKERFILE) ?? [];

    expect(entrypoint.at(-1)).toBe(link);
    expect(existsSync(join(ROOT, target.replace("/opt/backupctl/", "")))).toBe(true);
    const result = await run(command);
    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.calls.map(({ name }) => name)).toContain("create");
  });
});

const compose = z.object({
  services: z.object({
    backup: z.object({
      command: list,
      build: z.object({ context: z.string(), dockerfile: z.string() }),
      volumes: list,
      secrets: list,
      depends_on: list,
    }),
    schedules: z.object({ extends: z.literal("backup"), command: list }),
    database: z.object({ secrets: list }),
  }),
  volumes: z.record(z.string(), z.unknown()),
  secrets: z.record(z.string(), z.unknown()),
});

describe("examples/container/compose.yaml", () => {
  const { services, volumes, secrets } = compose.parse(parse(COMPOSE));

  test("builds from files that exist, and names what it declares", () => {
    const { build, volumes: mounts, secrets: used } = services.backup;
    const sources = mounts.map((mount) => mount.split(":")[0] ?? "");

    expect(existsSync(join(FOLDER, build.context, build.dockerfile))).toBe(true);
    expect(sources.filter((source) => source.startsWith("./")).every((file) => existsSync(join(FOLDER, file)))).toBe(
      true,
    );
    expect(sources.filter((source) => !/^[./]/.test(source) && !(source in volumes))).toEqual([]);
    expect([...used, ...services.database.secrets].filter((name) => !(name in secrets))).toEqual([]);
  });

  test("mounts what its configuration names", () => {
    const places = [
      ...services.backup.volumes.map((mount) => mount.split(":")[1]),
      ...services.backup.secrets.map((name) => `/run/secrets/${name}`),
    ];
    const named = [...readFileSync(join(FOLDER, "config.yaml"), "utf8").matchAll(/(?<=[ [])\/[\w/.-]+/g)].map(
      ([path]) => path,
    );
    const inContent = named.filter((path) => !path?.startsWith("/etc/backupctl/config.yaml"));

    expect(inContent.filter((path) => !places.includes(path))).toEqual([]);
  });

  test("shows commands that the program takes", async () => {
    const shown = [...COMPOSE.matchAll(/run --rm backup(.*)$/gm)].map(([, args = ""]) => words(args));

    expect(shown).toHaveLength(3);
    for (const args of [...shown, services.backup.command, services.schedules.command]) {
      const result = await run(args.length === 0 ? services.backup.command : args);
      expect(result).toMatchObject({ exitCode: 0 });
    }
  });
});
