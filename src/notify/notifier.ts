/**
 * The notifier port: tells somebody outside this host what happened here. A notifier knows no events: it brings what it is given to its
 * receiver, for people `title` and `lines`, for programs all of it.
 *
 * `send` tries once, and resolves when the receiver has taken it. It throws `NOTIFICATION_FAILED`, with `retryable` where the same call
 * may succeed in a moment; the caller tries again, with the same `id`. It waits for no receiver longer than its own time limit, reads no
 * more of an answer than it needs, and goes to no other place than the configured one. An aborted call rejects with the signal's
 * reason. No message holds a secret, or what the receiver said: that may repeat one.
 */
export interface Notifier {
  send(notification: Notification, signal: AbortSignal): Promise<void>;
}

export interface Notification {
  /** A UUID, the same in each try. */
  readonly id: string;
  /** What happened, such as `schedule.failed`: docs/notify/README.md lists them with their details. */
  readonly event: string;
  readonly severity: "info" | "warning" | "critical";
  /** ISO. */
  readonly time: string;
  /** The name in the configuration. */
  readonly site: string;
  readonly host: string;
  /** For people, one line without a full stop. */
  readonly title: string;
  /** What there is to say beyond the title; each is one line. */
  readonly lines: readonly string[];
  readonly details: Readonly<Record<string, Detail>>;
}

export type Detail = string | number | boolean | null | readonly Detail[] | { readonly [name: string]: Detail };

export interface NotifierDefinition {
  readonly type: string;
  /** Lazily imported zod object schema of the options beside `type`. */
  readonly options: () => Promise<unknown>;
  /** What is wrong between options that satisfy the schema. */
  readonly rules: () => Promise<
    (options: unknown) => readonly { readonly path: readonly string[]; readonly message: string }[]
  >;
  /** Calls nobody yet. @throws `CONFIG_INVALID` for options that it can't work with */
  readonly open: (options: unknown, context: NotifierContext) => Promise<Notifier>;
}

export interface NotifierContext {
  /** As the configuration calls it. */
  readonly name: string;
}
