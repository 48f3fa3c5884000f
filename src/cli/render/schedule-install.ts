import { count } from "../../domain/count.ts";
import type { ScheduleInstallation } from "../../operations/operations.ts";
import { dim, type Look } from "./look.ts";

/** To be put where it belongs by hand. */
export function renderParts(look: Look, { parts }: ScheduleInstallation): string {
  return parts
    .map(({ place, text }) => {
      const lines = text
        .trimEnd()
        .split("\n")
        .map((line) => look.show(line));
      return parts.length === 1 ? lines.join("\n") : [look.show(dim(`# ${place}`)), ...lines, ""].join("\n");
    })
    .join("\n");
}

export function renderInstallation(look: Look, { parts, removed }: ScheduleInstallation): string {
  const lines = [
    ...parts.map(({ place }) => look.line`installed ${place}`),
    ...removed.map((name) => look.line`removed   ${name}`),
  ];
  return lines.length === 0
    ? "There was nothing to remove."
    : [...lines, summary(parts.length, removed.length)].join("\n");
}

function summary(installed: number, removed: number): string {
  const what = [installed > 0 ? `${count(installed, "part")} installed` : "", removed > 0 ? `${removed} removed` : ""];
  return `${what.filter((part) => part !== "").join(", ")}. See \`backupctl schedule list\`.`;
}
