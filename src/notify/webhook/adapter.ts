import type { NotifierAdapter } from "../definition.ts";
import { openWebhook } from "./notifier.ts";
import { webhookOptions, webhookProblems } from "./options.ts";

export const webhookAdapter: NotifierAdapter<typeof webhookOptions> = {
  options: webhookOptions,
  check: webhookProblems,
  open: openWebhook,
};
