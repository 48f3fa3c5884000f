import { describe, expect, test } from "vitest";
import { isBackupctlError } from "../../../src/errors.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import { s3Address } from "../../../src/storage/s3/address.ts";
import { s3Options, s3Problems, s3RoleProblems } from "../../../src/storage/s3/options.ts";

const optionsOf = (given: Readonly<Record<string, unknown>>) => s3Options.parse({ bucket: "b", ...given });

describe("the address", () => {
  test.each([
    [{}, "s3:b"],
    [{ prefix: "site/" }, "s3:b/site"],
    [{ prefix: "a/b", region: "eu-central-1" }, "s3:b/a/b"],
    [{ endpoint: "https://s3.eu-central-1.amazonaws.com" }, "s3:b"],
    [{ endpoint: "HTTPS://S3.Example.org:443/" }, "s3:s3.example.org/b"],
    [{ endpoint: "http://localhost:9000", prefix: "p" }, "s3:localhost:9000/b/p"],
    [{ endpoint: "https://example.org/s3/", access_key_id: "id", secret_access_key: "SECRET" }, "s3:example.org/s3/b"],
    [{ endpoint: "https://notamazonaws.com" }, "s3:notamazonaws.com/b"],
  ])("of %j is %s", (given, address) => {
    expect(s3Address(optionsOf(given))).toBe(address);
  });
});

describe("options", () => {
  test.each([
    [{ access_key_id: "id" }, "secret_access_key is missing"],
    [{ secret_access_key: "s" }, "access_key_id is missing"],
    [{ session_token: "t" }, "session_token means nothing"],
    [{ access_key_id: "id", secret_access_key: "s", profile: "p" }, "profile is one too many"],
    [{ sse_kms_key: "k" }, "sse_kms_key means nothing"],
    [{ sse: "AES256", sse_kms_key: "k" }, "sse_kms_key means nothing"],
    [{ object_lock: "compliance" }, "object_lock_days is missing"],
    [{ object_lock_days: 3 }, "object_lock is missing"],
    [{ storage_class: "DEEP_ARCHIVE", thaw_tier: "Expedited" }, "thaw_tier means nothing in DEEP_ARCHIVE"],
    [{ endpoint: "http://s3.example.org" }, "endpoint is not encrypted"],
    [{ endpoint: "http://127.0.0.1.example.org" }, "endpoint is not encrypted"],
  ])("%j: %s", async (given, problem) => {
    const [found, ...others] = s3Problems(optionsOf(given));

    expect(`${found?.path.join(".")} ${found?.message}`).toContain(problem);
    expect(others).toEqual([]);
    await expect(storageDefinitions.s3!.open({ bucket: "b", ...given }, { name: "off" })).rejects.toSatisfy(
      (error) => isBackupctlError(error, "CONFIG_INVALID") && error.message.includes(problem),
    );
  });

  test.each([
    { endpoint: "http://localhost:9000" },
    { endpoint: "http://[::1]:9000" },
    { endpoint: "http://127.0.0.1" },
    { endpoint: "http://s3.example.org", insecure: true },
    { access_key_id: "id", secret_access_key: "s", session_token: "t" },
    { sse: "aws:kms", sse_kms_key: "k" },
    { object_lock: "governance", object_lock_days: 30 },
    { storage_class: "GLACIER", thaw_tier: "Expedited" },
    { storage_class: "DEEP_ARCHIVE", thaw_tier: "Bulk" },
  ])("%j is sound", (given) => {
    expect(s3Problems(optionsOf(given))).toEqual([]);
  });

  test.each([
    { prefix: "../other" },
    { prefix: "/site" },
    { prefix: "a b" },
    { endpoint: "s3.example.org" },
    { endpoint: "ftp://s3.example.org" },
    { thaw_days: 0 },
    { thaw_tier: "Fast" },
    { sse: "none" },
    { conditional_writes: "yes" },
  ])("%j is refused", (given) => {
    expect(s3Options.safeParse({ bucket: "b", ...given }).success).toBe(false);
  });

  test.each([
    [{ storage_class: "DEEP_ARCHIVE" }, "archive", []],
    [{ storage_class: "GLACIER_IR" }, "primary", []],
    [{ storage_class: "GLACIER" }, "replica", ["storage_class"]],
    [{ storage_class: "GLACIER" }, undefined, ["storage_class"]],
  ])("%j of role %s", (given, role, problems) => {
    expect(s3RoleProblems(optionsOf(given), role).map(({ path }) => path.join())).toEqual(problems);
  });
});
