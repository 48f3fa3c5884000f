import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jobDefinitions } from "../../src/jobs/registry.ts";
import { notifierDefinitions } from "../../src/notify/registry.ts";
import { runNotification } from "../../src/operations/schedules/run-notification.ts";
import { loadText, MINIMAL } from "../config/helpers.ts";
import { startReceiver } from "../helpers/receiver.ts";
import { codeBlocks } from "./commands.ts";

const read = (file: string): string => readFileSync(join(import.meta.dirname, "../../docs", file), "utf8");
const README = read("notify/README.md");
const WEBHOOK = read("notify/webhook.md");

const NOTIFICATION = runNotification(
  {
    status: "failed",
    scheduledFor: "2026-01-11T02:00:00.000Z",
    startedAt: "2026-01-11T02:00:03.000Z",
    endedAt: "2026-01-11T02:00:05.000Z",
    exitCode: 1,
    summary: "the login is wrong",
    problems: [],
    facts: {},
    error: { code: "STORAGE_DENIED", message: "the login is wrong", hint: "Correct it." },
    next: "2026-01-12T02:00:00.000Z",
  },
  {
    id: "0f0e0d0c-0b0a-4909-8807-060504030201",
    time: "2026-01-11T02:00:05.000Z",
    ...{ site: "example.org", host: "web1", schedule: "nightly", operation: "create" },
  },
);

test("the body in docs/notify/webhook.md is the one that is sent", async () => {
  const receiver = await startReceiver();
  const notifier = await notifierDefinitions.webhook?.open({ url: receiver.url }, { name: "ops" });

  await notifier?.send(NOTIFICATION, new AbortController().signal);

  const documented = codeBlocks(WEBHOOK).find(({ language }) => language === "json")?.text ?? "";
  expect(JSON.parse(receiver.requests[0]?.body ?? "")).toEqual(JSON.parse(documented));
});

test("every name that is sent is in docs/notify/README.md", () => {
  const { lines: _, ...top } = NOTIFICATION;
  const names = [...Object.keys(top), ...Object.keys(NOTIFICATION.details), "code", "message", "hint"];

  expect(names.filter((name) => !README.includes(`\`${name}\``))).toEqual([]);
  for (const operation of Object.keys(jobDefinitions)) expect(README).toContain(`\`${operation}\``);
});

test.each([...codeBlocks(README), ...codeBlocks(WEBHOOK)].filter(({ language }) => language === "yaml"))(
  "the configuration is a sound one: $text",
  async ({ text }) => {
    expect((await loadText(`${MINIMAL}${text}`)).config.notifiers).toEqual([{ name: "ops", type: "webhook" }]);
  },
);
