import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { run, words } from "../cli/harness.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER } from "../helpers/run-cli.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCRIPT = join(ROOT, "examples/ci/backup-then-deploy.sh");

async function makeSite(): Promise<CliSite> {
  const site = await makeCliSite(
    "  uploads: {engine: files, paths: ['{dir}/uploads']}\n  config: {engine: files, paths: ['{dir}/config']}",
  );
  for (const folder of ["uploads", "config"]) {
    mkdirSync(join(site.directory, folder));
    writeFileSync(join(site.directory, folder, "a.txt"), folder);
  }
  return site;
}

function deploy(site: CliSite, command: readonly string[] = ["touch", "deployed"]) {
  return spawnSync(SCRIPT, command, {
    cwd: site.directory,
    encoding: "utf8",
    env: cliEnvironment(site.directory, {
      BACKUPCTL_CONFIG: site.configFile,
      RELEASE: "v1.2.3",
      PATH: `${dirname(LAUNCHER)}:${process.env.PATH}`,
    }),
  });
}

const isDeployed = (site: CliSite): boolean => existsSync(join(site.directory, "deployed"));

describe("examples/ci/backup-then-deploy.sh", () => {
  test("deploys after a sound backup, which is tagged and says what for", async () => {
    const site = await makeSite();

    const { status, stderr } = deploy(site);

    expect(stderr).not.toContain("error:");
    expect(status).toBe(0);
    expect(isDeployed(site)).toBe(true);
    const list = (await site.run("list", "--tag", "before-deploy", "--json")).json();
    expect(list).toMatchObject({
      backups: [{ status: "completed", verified: true, description: "before the deploy of v1.2.3" }],
    });
  });

  test("deploys nothing when the backup fails", async () => {
    const site = await makeSite();
    const config = readFileSync(site.configFile, "utf8");
    writeFileSync(site.configFile, config.replaceAll(/'[^']*\/(uploads|config)'/g, "/nowhere"));

    const { status, stderr } = deploy(site);

    expect(status).toBe(1);
    expect(stderr).toContain("BACKUP_FAILED");
    expect(isDeployed(site)).toBe(false);
  });

  test("deploys nothing when the backup lacks a source", async () => {
    const site = await makeSite();
    const config = readFileSync(site.configFile, "utf8");
    writeFileSync(site.configFile, config.replace(/'[^']*\/config'/, "/nowhere"));

    const { status } = deploy(site);

    expect(status).toBe(3);
    expect(isDeployed(site)).toBe(false);
  });

  test("deploys nothing when there is no configuration", async () => {
    const site = await makeSite();
    writeFileSync(site.configFile, "sources: {");

    const { status } = deploy(site);

    expect(status).toBe(2);
    expect(isDeployed(site)).toBe(false);
  });

  test("ends with the status of the deploy", async () => {
    const site = await makeSite();

    expect(deploy(site, ["sh", "-c", "exit 7"]).status).toBe(7);
  });

  test("without a command to run says how it is used, and backs nothing up", async () => {
    const site = await makeSite();

    const { status, stderr } = deploy(site, []);

    expect(status).toBe(2);
    expect(stderr).toContain("usage:");
    expect((await site.run("list", "--json")).json()).toMatchObject({ total: 0 });
  });
});

const workflow = z.object({
  jobs: z.object({
    deploy: z.object({
      steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional(), if: z.string().optional() })),
    }),
  }),
});

test("examples/ci/deploy.yaml runs that script, and a command that the program takes", async () => {
  const { steps } = workflow.parse(parse(readFileSync(join(ROOT, "examples/ci/deploy.yaml"), "utf8"))).jobs.deploy;
  const lines = steps.flatMap((step) => step.run ?? []);

  expect(lines).toHaveLength(2);
  expect(existsSync(join(ROOT, words(lines[0] ?? "")[0] ?? ""))).toBe(true);
  const result = await run(words(lines[1] ?? "").slice(1));
  expect(result.exitCode).toBe(0);
  expect(result.requestOf("list")).toMatchObject({ tag: "before-deploy", limit: 3 });
});
