/** Times of a day that a cron line or a calendar event can say in one: these minutes of these hours. */
export interface TimesOfDay {
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
}

/** As few of them as say exactly these minutes of the day. */
export function groupTimes(minutesOfDay: Iterable<number>): readonly TimesOfDay[] {
  const minutesByHour = Map.groupBy([...new Set(minutesOfDay)].sort(ascending), (minute) => Math.floor(minute / 60));
  const hoursByMinutes = new Map<string, TimesOfDay>();
  for (const [hour, ofHour] of minutesByHour) {
    const minutes = ofHour.map((minute) => minute % 60);
    const key = minutes.join();
    hoursByMinutes.set(key, { minutes, hours: [...(hoursByMinutes.get(key)?.hours ?? []), hour] });
  }
  return [...hoursByMinutes.values()];
}

function ascending(one: number, other: number): number {
  return one - other;
}
