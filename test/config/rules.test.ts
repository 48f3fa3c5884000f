import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { reportConfig } from "../../src/operations/config-report.ts";
import { openSession } from "../helpers/site.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { failureOf, KEY, loadText } from "./helpers.ts";

function config(storage: string): string {
  return `storages:
  main:
    type: s3
    bucket: backups
${storage}
encryption:
  keys: { site: { provider: local, key: "${KEY}" } }
sources:
  www: { engine: files, paths: [/srv/www] }
`;
}

const HALF_A_LOGIN = "    access_key_id: somebody";

describe("a rule between options of a storage", () => {
  it("refuses a configuration that breaks it, with the line", async () => {
    const failure = await failureOf(loadText(config(HALF_A_LOGIN)));

    expect(failure).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/line 2, .*storages\.main\.secret_access_key: is missing beside access_key_id/),
    });
  });

  it("keeps nobody from trying to read his backups", async () => {
    const loaded = await loadText(config(HALF_A_LOGIN), { mode: "rescue" });

    expect(await loaded.resolveStorage("main")).toEqual({ bucket: "backups", access_key_id: "somebody" });
    expect(loaded.warnings).toEqual([expect.stringMatching(/is missing beside access_key_id$/)]);
  });

  it.each([
    ["beside a login", `${HALF_A_LOGIN}\n    profile: other`, "profile: is one too many beside access_key_id"],
    ["of a role", "    storage_class: GLACIER\n    access_key_id: a", "storage_class: GLACIER can't be read at once"],
  ])("%s is checked before a secret is fetched", async (_, options, message) => {
    const failure = await failureOf(loadText(config(`${options}\n    secret_access_key_command: "false"`)));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
  });

  it("says nothing of a secret that is still to be fetched, until config validate has fetched it", async () => {
    const directory = tempDir();
    const file = join(directory, "backup.config.yaml");
    writeFileSync(join(directory, "secret"), "no parts", { mode: 0o600 });
    const azure = "    type: azure\n    container: backups\n    connection_string_file: secret";
    writeFileSync(file, config("").replace("    type: s3\n    bucket: backups", azure));
    const session = await openSession(file);
    const unused = async (): Promise<never> => Promise.reject(new Error("not for config validate"));

    const report = reportConfig({ session, repository: unused, catalog: unused, closeLater: () => undefined });

    await expect(report).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("storages.main.connection_string: must be parts such as"),
    });
  });
});
