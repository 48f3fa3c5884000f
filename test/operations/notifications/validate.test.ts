import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSite } from "../../helpers/open-site.ts";
import { startReceiver } from "../../helpers/receiver.ts";

describe("config validate, of notifiers", () => {
  test("reads their secrets and calls nobody", async () => {
    const receiver = await startReceiver();
    const site = await openSite({ more: `notifiers: {ops: {type: webhook, url_file: "{dir}/url"}}` });
    writeFileSync(join(site.directory, "url"), receiver.url, { mode: 0o600 });

    expect(await site.operations.validateConfig()).toMatchObject({ warnings: [] });
    expect(receiver.requests).toEqual([]);
  });

  test.each([
    ["http://hooks.example.org/a-token", "url is not encrypted"],
    ["hooks.example.org/a-token", "url must be an address"],
    ["", "gave nothing"],
  ])("refuses what only the secret shows to be wrong: %s", async (url, message) => {
    const site = await openSite({ more: `notifiers: {ops: {type: webhook, url_file: "{dir}/url"}}` });
    writeFileSync(join(site.directory, "url"), url, { mode: 0o600 });

    const error: unknown = await site.operations.validateConfig().catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
    expect(String(error)).not.toContain("a-token");
  });
});
