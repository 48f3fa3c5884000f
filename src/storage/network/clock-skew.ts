import { type Clock, systemClock } from "../../platform/clock.ts";

/** Services allow 5 to 15 minutes; an answer that says no at less than this has another reason. */
const SUSPICIOUS_MS = 2 * 60_000;

/** How far this host's clock is from that of a service that refused a login, in words; `undefined` if it is not, or nobody knows. */
export function clockSkew(dateHeader: string | null | undefined, clock: Clock = systemClock): string | undefined {
  const theirs = Date.parse(dateHeader ?? "");
  const differenceMs = clock.now().getTime() - theirs;
  if (Number.isNaN(theirs) || Math.abs(differenceMs) < SUSPICIOUS_MS) return undefined;
  const minutes = Math.round(Math.abs(differenceMs) / 60_000);
  return `this host's clock is ${minutes} minutes ${differenceMs > 0 ? "ahead" : "behind"}`;
}
