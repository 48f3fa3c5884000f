import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";
import { failureOf, loadText, MINIMAL } from "./helpers.ts";

const URL = "https://hooks.example.org/a-secret-path";

function config(notifiers: string, notify = "{}"): string {
  return `${MINIMAL}notifiers: ${notifiers}\nschedules: { nightly: { every: day, at: "02:00", notify: ${notify} } }\n`;
}

describe("notifiers", () => {
  it("are known by their names, with the options of their type, and told as the schedule says", async () => {
    const directory = tempDir();
    writeFileSync(join(directory, "url"), `${URL}\n`, { mode: 0o600 });
    const ops = "{ type: webhook, url_file: url, ca_file: ca.pem }";
    const loaded = await loadText(config(`{ ops: ${ops} }`, "{ on_failure: [ops] }"), { directory });

    expect(loaded.config.notifiers).toEqual([{ name: "ops", type: "webhook" }]);
    expect(loaded.config.schedules[0]?.notify).toEqual({ onSuccess: [], onFailure: ["ops"] });
    expect(await loaded.resolveNotifier("ops")).toEqual({ url: URL, ca_file: join(directory, "ca.pem") });
    expect([...loaded.secrets]).toContain(URL);
    await expect(loaded.resolveNotifier("opps")).rejects.toMatchObject({
      ...{ code: "CONFIG_INVALID", hint: "The config has: ops. Did you mean ops?" },
    });
  });

  it("are shown without what is secret or may be", async () => {
    const headers = "{ X-Auth: abcdefgh, X-Team: operations }";
    const loaded = await loadText(config(`{ ops: { type: webhook, url: "${URL}", headers: ${headers} } }`));

    expect(loaded.shown().notifiers).toEqual({
      ops: {
        type: "webhook",
        url: "***",
        headers: { "X-Auth": "***", "X-Team": "***" },
        timeout: "10s",
        insecure: false,
      },
    });
    expect([...loaded.secrets]).toEqual(expect.arrayContaining([URL, "abcdefgh"]));
    expect([...loaded.secrets]).not.toContain("operations");
  });

  it.each([
    [`{ ops: { type: webhok, url: "${URL}" } }`, "{}", 'did you mean "webhook"?'],
    ["{ ops: { type: webhook } }", "{}", "url: is missing; give url, url_file or url_command"],
    [`{ ops: { type: webhook, url: "${URL}", secrt: x } }`, "{}", 'did you mean "secret"?'],
    ["{ ops: { type: webhook, url: 'http://hooks.example.org/a-secret-path' } }", "{}", "url: is not encrypted"],
    [
      `{ ops: { type: webhook, url: "${URL}" } }`,
      "{ on_failure: [opz] }",
      'there is no notifier "opz"; did you mean "ops"?',
    ],
    ["{}", "{ on_success: [ops] }", 'notify.on_success.0: there is no notifier "ops"'],
    ["{}", "{ on_sucess: [ops] }", 'did you mean "on_success"?'],
  ])("are refused where they are wrong: %s, %s", async (notifiers, notify, message) => {
    const failure = await failureOf(loadText(config(notifiers, notify)));

    expect(failure.message).toContain(message);
    expect(failure.message).not.toContain("a-secret-path");
  });

  it("that are wrong stand between nobody and his backups", async () => {
    const loaded = await loadText(config("{ ops: { type: pigeon } }", "{ on_failure: [ops] }"), { mode: "rescue" });

    expect(loaded.config.notifiers).toEqual([]);
    expect(loaded.config.schedules).toEqual([]);
    expect(loaded.warnings.join("\n")).toContain("this part is ignored");
  });
});
