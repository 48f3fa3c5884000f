import { BACKUPCTL } from "../contenders.ts";
import { type Surroundings, whereSection } from "../page.ts";
import { alignedTable, showBytes } from "../report.ts";
import { median } from "../results.ts";

/** What a round does with a place, in this order, in its own folder. */
export const WORKS = [
  { work: "create", script: `${BACKUPCTL} create -q -c direct.yaml` },
  { work: "restore", script: `${BACKUPCTL} restore latest -q --yes -c direct.yaml --to "$PWD/restored"` },
  { work: "replicate", script: `${BACKUPCTL} replicate -q -c copied.yaml` },
  { work: "rclone_to", script: 'rclone copy --transfers 4 "$REPO" "place:$PLACE"' },
  { work: "rclone_from", script: 'rclone copy --transfers 4 "place:$PLACE" "$PWD/fetched"' },
] as const;
type Work = (typeof WORKS)[number]["work"];

export interface StorageSample {
  readonly place: string;
  readonly work: Work;
  readonly seconds: number;
  readonly peakMemoryBytes: number;
  /** Of all objects of the backup, which is what each work moves. */
  readonly storedBytes: number;
}

const INTRODUCTION = `# Benchmarks of storages

Written by \`npm run bench:storages -- --write-docs\`, never by hand. Each kind of storage is a server on the same host, so its own work is in
the figures: they show that nothing of ours stands in the way, not what a network does. \`create\` reads, cuts, compresses, seals, checks and sends;
\`restore\` fetches, opens, checks and writes; \`replicate\` copies the stored objects from a local storage, checking each one, which is the
same work as rclone's. MB/s are stored bytes; in brackets: rclone's time divided by ours, above 1 backupctl is faster. Memory is the most that all processes
of the command had resident. Google Cloud Storage was not measured: there is no server of it that could run here.
`;

export function storagesPage(
  samples: readonly StorageSample[],
  titles: ReadonlyMap<string, string>,
  about: Surroundings,
): string {
  const figure = (place: string, work: Work, of: (sample: StorageSample) => number): number =>
    median(samples.filter((sample) => sample.place === place && sample.work === work).map(of));
  const rows = [...titles].map(([place, title]) => {
    const seconds = (work: Work): number => figure(place, work, (sample) => sample.seconds);
    const bytes = figure(place, "create", ({ storedBytes }) => storedBytes);
    const rate = (work: Work): string => `${Math.round(bytes / seconds(work) / 1e6)} MB/s`;
    const beside = (work: Work, other: Work): string =>
      `${rate(work)} (${(seconds(other) / seconds(work)).toFixed(2)})`;
    const memory = (work: Work): string => showBytes(figure(place, work, ({ peakMemoryBytes }) => peakMemoryBytes));
    return [
      title,
      ...[beside("create", "rclone_to"), beside("replicate", "rclone_to"), rate("rclone_to")],
      ...[beside("restore", "rclone_from"), rate("rclone_from")],
      ...[memory("create"), memory("replicate"), memory("restore")],
    ];
  });
  const head = ["", "create", "replicate", "rclone to it", "restore", "rclone from it"];
  const table = alignedTable([[...head, "memory: create", "replicate", "restore"], ...rows]);
  const stored = median(samples.map(({ storedBytes }) => storedBytes));
  return [INTRODUCTION, `## ${showBytes(stored)} stored\n\n${table}\n`, whereSection(about)].join("\n");
}
