import { z } from "zod";
import { DURATION_HINT, durationMs, parseDuration } from "../domain/duration.ts";
import { parseSize, SIZE_HINT } from "../domain/size.ts";
import { isBackupctlError } from "../errors.ts";

/** The kinds of value that the configuration's own options have. */

const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const NAME_RULE = "must be lowercase letters, digits, - and _, at most 64, starting with a letter or digit";

export const nameField = z.string().regex(NAME_PATTERN, NAME_RULE);

/** A length of time, kept as its text. */
export function durationField(rules: { readonly forever?: boolean; readonly zero?: boolean } = {}) {
  return z.string("must be a number and a unit, such as 30d").superRefine((text, context) => {
    const message = durationProblem(text, rules);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

function durationProblem(
  text: string,
  rules: { readonly forever?: boolean; readonly zero?: boolean },
): string | undefined {
  try {
    const duration = parseDuration(text);
    if (duration === "forever" && !rules.forever) return "can't be forever";
    if (durationMs(duration) === 0 && !rules.zero) return "must be longer than 0";
    return undefined;
  } catch (error) {
    if (!isBackupctlError(error, "USAGE")) throw error;
    return `${error.message}. ${DURATION_HINT.replace(/\.$/, "")}`;
  }
}

/** A number of bytes, kept as its text. */
export function sizeField(leastBytes = 1) {
  return z.string("must be a number and a unit, such as 500GB").superRefine((text, context) => {
    const message = sizeProblem(text, leastBytes);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

function sizeProblem(text: string, leastBytes: number): string | undefined {
  try {
    return parseSize(text) < leastBytes ? `must be at least ${leastBytes} bytes` : undefined;
  } catch (error) {
    if (!isBackupctlError(error, "USAGE")) throw error;
    return `${error.message}. ${SIZE_HINT.replace(/\.$/, "")}`;
  }
}

export const timezoneField = z.string().refine(isTimezone, "is not an IANA time zone such as UTC or Europe/Berlin");

function isTimezone(name: string): boolean {
  // The first format takes as long to make as all else that is checked.
  if (name === "UTC") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
