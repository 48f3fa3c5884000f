import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import type { Detail, Notification, Notifier } from "../../notify/notifier.ts";
import { systemSleep } from "../../platform/clock.ts";
import type { Session } from "../session.ts";
import { sendPatiently } from "./patience.ts";

/** After a signal somebody waits for the end of this process, or kills it soon. */
const LAST_WORD_MS = 5_000;
/** Of one text: receivers have limits. */
const MOST_CHARACTERS = 1_000;

/** Nothing of them throws: what is told must not change what it is told of. Who can't be told is warned about. */
export interface Notifiers {
  /** Fetches their secrets now, while no signal has come yet: that would end the programs that print them. */
  open(): Promise<void>;
  /** Tells those of them. Takes a minute or so where receivers are slow, seconds after a signal. */
  tell(names: readonly string[], notification: Notification): Promise<void>;
}

/** Notifiers of the configuration by their names. */
export function notifiersOf(session: Session, names: readonly string[]): Notifiers {
  let opening: Promise<ReadonlyMap<string, Notifier>> | undefined;
  const opened = (): Promise<ReadonlyMap<string, Notifier>> => {
    opening ??= openAll(session, names);
    return opening;
  };
  return {
    open: async () => void (await opened()),
    async tell(whom, notification) {
      if (whom.length === 0) return;
      const notifiers = await opened();
      const sendable = sendableOf(notification, session.clean);
      await Promise.all(
        whom.map(async (name) => {
          const notifier = notifiers.get(name);
          if (notifier !== undefined) await tellOne(session, { name, notifier }, sendable);
        }),
      );
    },
  };
}

/** @throws `CONFIG_INVALID` */
export async function openNotifier({ loaded, adapters }: Session, name: string): Promise<Notifier> {
  const entry = loaded.config.notifiers.find((notifier) => notifier.name === name);
  const definition = adapters.notifiers[entry?.type ?? ""];
  if (definition === undefined) throw new BackupctlError("CONFIG_INVALID", `no notifier is named "${name}"`);
  return definition.open(await loaded.resolveNotifier(name), { name });
}

async function openAll(session: Session, names: readonly string[]): Promise<ReadonlyMap<string, Notifier>> {
  const opened = await Promise.all(
    names.map(async (name) => {
      try {
        return [[name, await openNotifier(session, name)] as const];
      } catch (error) {
        session.logger.warn(`notifier "${name}" can't be used: ${saidOf(error)}`);
        return [];
      }
    }),
  );
  return new Map(opened.flat());
}

async function tellOne(
  { signal, logger }: Session,
  { name, notifier }: { readonly name: string; readonly notifier: Notifier },
  notification: Notification,
): Promise<void> {
  try {
    if (signal.aborted) await notifier.send(notification, AbortSignal.timeout(LAST_WORD_MS));
    else await sendPatiently(notifier, notification, { sleep: systemSleep, signal });
  } catch (error) {
    logger.warn(`notifier "${name}" was not told that ${notification.title}: ${saidOf(error)}`);
  }
}

function saidOf(error: unknown): string {
  if (!isBackupctlError(error)) return messageOf(error);
  const { code, message, hint } = error;
  return `${code}: ${message}${hint === undefined ? "" : `. ${hint}`}`;
}

/** What leaves this host holds no secret, nor what could forge a line; of very long texts it is the beginning. */
function sendableOf(notification: Notification, clean: (text: string) => string): Notification {
  const text = (given: string): string => {
    const cleaned = clean(given);
    return cleaned.length <= MOST_CHARACTERS ? cleaned : `${cleaned.slice(0, MOST_CHARACTERS)}…`;
  };
  const record = (given: Notification["details"]): Notification["details"] =>
    Object.fromEntries(Object.entries(given).map(([name, detail]) => [name, sendable(detail)]));
  const sendable = (detail: Detail): Detail => {
    if (typeof detail === "string") return text(detail);
    if (typeof detail !== "object" || detail === null) return detail;
    return isList(detail) ? detail.map(sendable) : record(detail);
  };
  const { site, host, title, lines, details } = notification;
  const people = { site: text(site), host: text(host), title: text(title), lines: lines.map(text) };
  return { ...notification, ...people, details: record(details) };
}

function isList(detail: object): detail is readonly Detail[] {
  return Array.isArray(detail);
}
