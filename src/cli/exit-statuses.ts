/** What every exit status means, for help and documentation; the codes of errors map to them in errors.ts. */
export const EXIT_STATUSES: Readonly<Record<number, string>> = {
  0: "done",
  1: "failed",
  2: "wrong usage or configuration, or not confirmed; nothing was done",
  3: "partly done: a source, a storage or some files failed",
  4: "unhealthy: damage was found",
  10: "no such backup",
  11: "another run holds the lock",
  12: "the encryption key is missing or wrong",
  14: "refused by retention, a hold, or because another backup needs it",
  129: "ended by SIGHUP, as when its terminal is closed, after cleaning up",
  130: "interrupted by Ctrl-C, after cleaning up",
  143: "ended by SIGTERM, after cleaning up",
};

const OF_EVERY_COMMAND = [0, 1, 2, 129, 130, 143] as const;

/** A command's own statuses and those that all have, in order. */
export function exitStatusesOf(
  own: Readonly<Record<number, string>>,
): readonly (readonly [code: number, meaning: string])[] {
  const shared = OF_EVERY_COMMAND.filter((code) => !(code in own)).map(
    (code) => [code, EXIT_STATUSES[code] ?? ""] as const,
  );
  const named = Object.entries(own).map(([code, meaning]) => [Number(code), meaning] as const);
  return [...shared, ...named].toSorted(([a], [b]) => a - b);
}
