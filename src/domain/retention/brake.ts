import { count } from "../count.ts";
import { ancestorIdsOf, isGood, type KnownBackup } from "../known-backup.ts";
import { CLOCK_TOLERANCE_MS } from "../timestamp.ts";
import type { Verdict } from "./decide.ts";

/** Why a cleanup is not carried out unless it is forced: more likely something is wrong than that somebody wants it. */
export interface Brake {
  readonly kind: "clock" | "max-delete";
  /** Lowercase, without a full stop. */
  readonly text: string;
}

/** A backup from the future: either it was made with a wrong clock, or this host's clock was put back. By either nothing can be judged. */
export function clockBrake(backups: readonly KnownBackup[], now: Date): Brake | undefined {
  const early = backups.find(
    (backup) => isGood(backup) && Date.parse(backup.timestamp) > now.getTime() + CLOCK_TOLERANCE_MS,
  );
  if (early === undefined) return undefined;
  const text = `backup ${early.id} was made at ${early.timestamp}, and this host's clock says ${now.toISOString()}`;
  return { kind: "clock", text };
}

/**
 * More than this share of what lies in a storage would go. One chain may always go as a whole: while incrementals hang from it nothing
 * of it can, and the day after the last of them all of it does.
 */
export function maxDeleteBrake(
  storage: string,
  verdicts: readonly Verdict<KnownBackup>[],
  maxDeletePercent: number,
): Brake | undefined {
  const going = verdicts.filter(({ keep }) => !keep).map(({ backup }) => backup);
  const chains = new Set(going.map((backup) => ancestorIdsOf(backup)[0] ?? backup.id));
  if (chains.size < 2 || going.length * 100 <= maxDeletePercent * verdicts.length) return undefined;
  const share = Math.round((going.length * 100) / verdicts.length);
  const text = `${going.length} of ${count(verdicts.length, "backup")} in storage "${storage}" would go, ${share} %, and max_delete is ${maxDeletePercent} %`;
  return { kind: "max-delete", text };
}
