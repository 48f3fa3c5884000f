import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { ProbeResult } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type Swift, startSwift } from "../../servers/swift.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.s3!;

/** A service that imitates S3 without conditional writes, checksums and locks. */
describe.runIf(requireOrSkip("swift"))("s3 on Swift", () => {
  let server: Swift;

  beforeAll(async () => {
    server = await startSwift();
  });

  afterAll(async () => {
    await server?.stop();
  });

  const options = (given: Readonly<Record<string, unknown>> = {}) => ({
    bucket: "backups",
    endpoint: server.endpoint,
    ...server.owner,
    ...given,
  });

  storageSuite({
    name: "s3 that refuses conditional writes",
    exclusiveNames: false,
    open: async () => {
      const prefix = `tests/${randomUUID()}`;
      const open = () => definition.open(options({ prefix }), { name: "weak", create: true });
      return { storage: await open(), again: open };
    },
  });

  test("conditional_writes: true is refused by the first put, and says what to look at", async () => {
    const storage = await definition.open(options({ conditional_writes: true }), { name: "weak", create: true });
    onTestFinished(() => storage.close());

    await expect(storage.put("object", Buffer.from("x"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      hint: expect.stringContaining("conditional_writes: false"),
    });
  });

  test.each([
    ["unknown", { access_key_id: "test:nobody", secret_access_key: "x" }],
    ["with the wrong secret", { secret_access_key: "wrong" }],
  ])("a login %s is STORAGE_DENIED", async (_, login) => {
    await expect(definition.open(options(login), { name: "weak" })).rejects.toMatchObject({ code: "STORAGE_DENIED" });
  });

  test("a missing bucket is STORAGE_NOT_FOUND", async () => {
    await expect(definition.open(options({ bucket: "nowhere" }), { name: "weak" })).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
    });
  });

  test("the probe finds out what it lacks, and which options help", async () => {
    const storage = await definition.open(options(), { name: "weak", create: true });
    onTestFinished(() => storage.close());

    const results: ProbeResult[] = [];
    for await (const result of storage.probe!("scratch")) results.push(result);

    expect(results.find(({ what }) => what === "conditional writes")).toMatchObject({
      outcome: "absent",
      setting: "conditional_writes: false",
    });
    expect(results.find(({ what }) => what === "object lock")?.outcome).toBe("absent");
  });
});
