import { BackupctlError } from "../../errors.ts";
import type { Context } from "../context.ts";

interface Consent {
  /** `--yes`. */
  readonly given: boolean;
  /** What would be done, as the object of "not confirmed: …". */
  readonly what: string;
  readonly question: string;
  /** The word to type instead of a yes. */
  readonly typed?: string | undefined;
}

/** @throws `NOT_CONFIRMED` when the answer is no, or when nobody can be asked and `--yes` was not given. */
export async function requireConsent(context: Context, consent: Consent): Promise<void> {
  if (consent.given) return;
  if (!context.interactive) {
    throw new BackupctlError("NOT_CONFIRMED", `not confirmed: ${consent.what}`, {
      hint: context.json
        ? "Nobody is asked with --json: see what --dry-run shows, then add --yes."
        : "There is no terminal to ask on: see what --dry-run shows, then add --yes.",
    });
  }
  if (!(await ask(context, consent))) {
    throw new BackupctlError("NOT_CONFIRMED", `not confirmed: ${consent.what}`, { hint: "Nothing was changed." });
  }
}

function ask({ prompts, noteLook }: Context, { question, typed }: Consent): Promise<boolean> {
  const shown = noteLook.show(question);
  return typed === undefined ? prompts.confirm(shown) : prompts.typeToConfirm(shown, typed);
}
