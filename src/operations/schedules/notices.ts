import type { ScheduleConfig } from "../../config/config.ts";
import { newUuid } from "../../platform/random.ts";
import { notifiersOf } from "../notifications/notifiers.ts";
import type { Session } from "../session.ts";
import { type RunEnd, runNotification } from "./run-notification.ts";

/** What the notifiers of a schedule are told. Neither throws. */
export interface RunNotices {
  /** Before the work, for its end. */
  open(): Promise<void>;
  tell(end: RunEnd): Promise<void>;
}

export function runNotices(session: Session, { name, operation, notify }: ScheduleConfig): RunNotices {
  const { host, clock, loaded } = session;
  const notifiers = notifiersOf(session, [...new Set([...notify.onSuccess, ...notify.onFailure])]);
  return {
    open: notifiers.open,
    async tell(end) {
      const about = { id: newUuid(), time: clock.now().toISOString(), site: loaded.config.name, host };
      const whom = end.status === "completed" ? notify.onSuccess : notify.onFailure;
      await notifiers.tell(whom, runNotification(end, { ...about, schedule: name, operation }));
    },
  };
}
