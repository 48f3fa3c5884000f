import { MODES, STATUSES } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { BackupctlError } from "../../errors.ts";
import type { ListRequest, ListResult } from "../../operations/operations.ts";
import { defineCommand } from "../command.ts";
import { flag, integer, text } from "../option.ts";
import { backupParagraphs, backupTable, listWarnings } from "../render/backups.ts";
import { listJson } from "../render/json.ts";
import type { Look } from "../render/look.ts";

const DEFAULT_LIMIT = 20;
const MOST = 10_000;

export const list = defineCommand({
  name: "list",
  group: "Daily",
  summary: "the backups there are, newest first",
  description: [
    "Reads the catalog; nothing is fetched from the storages, but where there is none, as on a new machine: it is made from them first. --verbose shows a paragraph for each backup.",
    "`failed` is also what became of a run that died (killed, the power gone): its `error` in --json has the code INTERRUPTED.",
  ],
  options: {
    type: text("TYPE", "full or a component; also a mode", { choices: ["full", "database", "files", "configuration"] }),
    mode: text("MODE", "full, incremental or differential", { choices: MODES }),
    status: text("STATUS", `one of ${STATUSES.join(", ")}`, { choices: STATUSES }),
    from: text("TIME", "made at or after: a date, a time, or an age such as 7d", { aliases: ["start-date"] }),
    to: text("TIME", "made before; a date includes that day", { aliases: ["end-date"] }),
    tag: text("TAG", "with this tag"),
    component: text("NAME", "that hold this component"),
    limit: integer("N", { min: 1, max: MOST }, `at most so many (default ${DEFAULT_LIMIT})`, { aliases: ["per-page"] }),
    offset: integer("N", { min: 0, max: 1e9 }, "leave out the first so many"),
    page: integer("N", { min: 1, max: 1e9 }, "the page of --per-page rows", { hidden: true }),
    details: flag("the same as --verbose", { hidden: true }),
  },
  examples: [
    { command: "backupctl list", text: "The last 20" },
    { command: "backupctl list --type database --limit 10", text: "Of the database only" },
    { command: "backupctl list --from 2026-01-01 --to 2026-01-11", text: "Of some days" },
    { command: "backupctl list --from 24h --status failed --json", text: "What failed since yesterday, for a script" },
  ],
  exitCodes: { 0: "done, also when there is none" },
  run: async (context, values) => {
    const { output, look, noteLook, json } = context;
    if (values.page !== undefined && values.offset !== undefined) {
      throw new BackupctlError("USAGE", "--page and --offset contradict each other", {
        hint: "Leave one of them out.",
      });
    }
    const limit = values.limit ?? DEFAULT_LIMIT;
    const { type, mode, status, from, to, tag, component } = values;
    const request: ListRequest = {
      ...{ type, mode, from, to, tag, component },
      status: status === "in_progress" ? "running" : status,
      limit,
      offset: values.page === undefined ? (values.offset ?? 0) : (values.page - 1) * limit,
    };
    const result = await (await context.operations("rescue")).list(request);
    if (json) output.printJson(listJson(result));
    else {
      output.print(await renderList(look, result, context.verbose || values.details, isFiltered(request)));
      for (const warning of listWarnings(noteLook, result.backups)) output.warn(warning);
    }
    return 0;
  },
});

function isFiltered({ limit: _limit, offset: _offset, ...filters }: ListRequest): boolean {
  return Object.values(filters).some((value) => value !== undefined);
}

async function renderList(look: Look, result: ListResult, details: boolean, filtered: boolean): Promise<string> {
  const { backups, total, offset } = result;
  if (total === 0) return filtered ? "No backup matches." : "There is no backup yet: `backupctl create` makes one.";
  if (backups.length === 0)
    return `Nothing after the first ${offset}: there ${total === 1 ? "is" : "are"} ${count(total, "backup")}.`;
  const shown = details ? backupParagraphs(look, backups) : await backupTable(look, backups);
  const end = offset + backups.length;
  const range = offset === 0 ? `${backups.length}` : `${offset + 1} to ${end}`;
  const more = end < total ? `; the next: --offset ${end}` : "";
  return `${shown}\n\n${range} of ${count(total, "backup")}${more}`;
}
