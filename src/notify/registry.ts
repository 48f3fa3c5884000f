import { lazyNotifier } from "./definition.ts";
import type { NotifierDefinition } from "./notifier.ts";

/** Every type of notifier that a config may name. A new one is a folder and a line here (docs/adding-a-notifier.md). */
export const notifierDefinitions: Readonly<Record<string, NotifierDefinition>> = {
  webhook: lazyNotifier("webhook", async () => (await import("./webhook/adapter.ts")).webhookAdapter),
};
