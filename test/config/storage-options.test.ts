import { describe, expect, it } from "vitest";
import { storageLimits } from "../../src/config/storage-options.ts";
import { failureOf, KEY, loadText } from "./helpers.ts";

/** A configuration whose storage has these options too. */
function config(options: string): string {
  return `storages:
  main: { type: local, path: backups, ${options} }
encryption:
  keys: { site: { provider: local, key: "${KEY}" } }
`;
}

describe("options of every storage", () => {
  it("are by default: on this host nothing is tried again or limited, elsewhere it is waited for", () => {
    expect(storageLimits("local", {})).toMatchObject({ retryForMs: 0, concurrency: undefined });
    expect(storageLimits("anything else", {})).toEqual({
      retryForMs: 300_000,
      stallTimeoutMs: 60_000,
      concurrency: 4,
      uploadBytesPerSecond: undefined,
      downloadBytesPerSecond: undefined,
      quotaBytes: undefined,
    });
  });

  it("reach whoever opens the storage as numbers, and its adapter not at all", async () => {
    const loaded = await loadText(
      config("retry_for: 2h, concurrency: 3, limit_upload: 10MB, limit_download: 1.5MiB, quota: 500GB"),
    );

    expect(loaded.config.storages[0]?.limits).toMatchObject({
      retryForMs: 7_200_000,
      concurrency: 3,
      uploadBytesPerSecond: 10_000_000,
      downloadBytesPerSecond: 1_572_864,
      quotaBytes: 500e9,
    });
    expect(Object.keys(await loaded.resolveStorage("main"))).toEqual(["path"]);
  });

  it("are shown with their defaults", async () => {
    const loaded = await loadText(config("quota: 500GB"));

    expect(loaded.shown()).toMatchObject({ storages: { main: { retry_for: "0s", quota: "500GB" } } });
  });

  it.each([
    ["limit_upload: 10Mbit", 'limit_upload: "10Mbit" is not a size. Write a number and a unit, such as 500GB'],
    ["limit_upload: 10", "limit_upload: must be a number and a unit, such as 500GB"],
    ["limit_download: 10B", "limit_download: must be at least 1000 bytes"],
    ["retry_for: soon", 'retry_for: "soon" is not a duration'],
    ["retry_for: forever", "retry_for: can't be forever"],
    ["concurrency: 0", "concurrency: must be at least 1"],
    ["quota: 500", "quota: must be a number and a unit, such as 500GB"],
    ["limit_uplod: 10MB", 'unknown key; did you mean "limit_upload"?'],
    ["stall_timeout: 5s", "stall_timeout: unknown key"],
  ])("are refused where they are wrong: %s", async (option, message) => {
    const failure = await failureOf(loadText(config(option)));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
  });

  it.each([
    ["s3", "bucket: b", "access_key_id"],
    ["gcs", "bucket: bbb", "credentials_file"],
    ["azure", "container: ccc, account: example, account_key: c2VjcmV0", "account_key"],
  ])("take no login in an endpoint of %s, and don't show it", async (type, options, instead) => {
    for (const endpoint of ["http://bob:s3cretpw@localhost:99", "http://localhost:99/?sig=s3cretpw"]) {
      const text = `storages:
  main: { type: ${type}, ${options}, endpoint: "${endpoint}" }
encryption:
  keys: { site: { provider: local, key: "${KEY}" } }
`;
      const failure = await failureOf(loadText(text));

      expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(instead) });
      expect(JSON.stringify(failure)).not.toContain("s3cretpw");
    }
  });

  it.each([
    ["s3", 'bucket: "s3://b"', "main.bucket: must be the bucket's name alone"],
    ["s3", "bucket: b/folder", "main.bucket: must be the bucket's name alone"],
    ["sftp", 'host: "[::1]", user: u, path: p', "main.host: must be a name or an address alone"],
    ["ftp", 'host: "[::1]", user: u, password: p, path: p', "main.host: must be a name or an address alone"],
    ["sftp", 'host: "bob@example.org", user: u, path: p', "main.host: must be a name or an address alone"],
  ])("say what to write instead: %s %s", async (type, options, message) => {
    const text = `storages:
  main: { type: ${type}, ${options} }
encryption:
  keys: { site: { provider: local, key: "${KEY}" } }
`;

    expect(await failureOf(loadText(text))).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(message),
    });
  });

  it.each(["limit_upload: 10Mbit", "retry_for: soon", "concurrency: 0", "quota: much"])(
    "keep nobody from reading his backups where they are wrong: %s",
    async (option) => {
      const loaded = await loadText(config(option), { mode: "rescue" });

      expect(loaded.config.storages[0]?.limits).toEqual(storageLimits("local", {}));
      expect(loaded.warnings).toEqual([expect.stringMatching(`storages.main.${option.split(":")[0]}.*is ignored`)]);
    },
  );
});
