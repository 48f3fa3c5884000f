import fc from "fast-check";

/** A zone, and an instant at which its clocks are changed. */
export const ZONES_WITH_CHANGES = [
  { timezone: "UTC", change: new Date("2026-03-29T01:00:00Z") },
  { timezone: "Europe/Berlin", change: new Date("2026-03-29T01:00:00Z") },
  { timezone: "Europe/Berlin", change: new Date("2026-10-25T01:00:00Z") },
  { timezone: "America/New_York", change: new Date("2026-03-08T07:00:00Z") },
  { timezone: "America/New_York", change: new Date("2026-11-01T06:00:00Z") },
  { timezone: "Australia/Lord_Howe", change: new Date("2026-10-03T15:30:00Z") },
  { timezone: "Australia/Lord_Howe", change: new Date("2026-04-04T15:00:00Z") },
  { timezone: "America/Santiago", change: new Date("2026-09-06T04:00:00Z") },
  { timezone: "Asia/Kolkata", change: new Date("2026-07-01T00:00:00Z") },
  { timezone: "Africa/Casablanca", change: new Date("2026-02-15T02:00:00Z") },
  { timezone: "Pacific/Chatham", change: new Date("2026-04-04T14:00:00Z") },
] as const;

/** Expressions of all kinds, most of them with a time on most days. */
export function cronExpressions(): fc.Arbitrary<string> {
  const list = (min: number, max: number): fc.Arbitrary<string> =>
    fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 3 }).map((some) => some.join(","));
  const range = (min: number, max: number): fc.Arbitrary<string> =>
    fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const minute = fc.oneof(fc.constantFrom("0", "*", "*/15", "*/7", "30"), list(0, 59), range(0, 59));
  const hour = fc.oneof(fc.constantFrom("*", "2", "*/2", "*/6", "0-3"), list(0, 23), range(0, 23), list(0, 4));
  const anyDay = fc.constant("*");
  const day = fc.oneof({ weight: 3, arbitrary: anyDay }, list(1, 28), range(1, 31));
  const weekday = fc.oneof({ weight: 3, arbitrary: anyDay }, list(0, 6), range(0, 6));
  const month = fc.oneof({ weight: 5, arbitrary: anyDay }, list(1, 12));
  return fc.tuple(minute, hour, day, month, weekday).map((fields) => fields.join(" "));
}
