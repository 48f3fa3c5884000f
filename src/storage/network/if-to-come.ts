import { systemClock } from "../../platform/clock.ts";

/** The end of what keeps an object, where it is not over. */
export function ifToCome(end: Date | undefined): Date | undefined {
  return end !== undefined && end.getTime() > systemClock.now().getTime() ? end : undefined;
}
