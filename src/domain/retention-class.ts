import { BackupctlError } from "../errors.ts";
import { CATEGORIES, type Category, type Mode } from "./backup.ts";
import { periodOf } from "./period.ts";

const LARGEST_FIRST = ["yearly", "monthly", "weekly", "daily"] as const;

export interface CategoryRequest {
  readonly manual: boolean;
  /** `--class`. */
  readonly explicitClass?: string | undefined;
  readonly type: string;
  /** The mode that the backup really has, after `chooseParent`. */
  readonly mode: Mode;
  readonly now: Date;
  readonly timezone: string;
  /** The classes that the config's retention names; `yearly` is used only if it is among them. */
  readonly configuredClasses: readonly string[];
  /** ISO times of the completed full backups of this type. */
  readonly completedFulls: readonly string[];
}

/**
 * The retention class of a new backup. The first full of a month becomes that month's, so later fulls of the month are the
 * week's or the day's; a second full of one day is daily too.
 * @throws `USAGE` for an unknown class, or `--manual` together with another one.
 */
export function chooseCategory(request: CategoryRequest): Category {
  const explicit = explicitCategory(request);
  if (explicit !== undefined) return explicit;
  if (request.type === "configuration") return "snapshots";
  if (request.mode !== "full") return "incremental";
  const { timezone } = request;
  return (
    LARGEST_FIRST.filter((period) => period !== "yearly" || request.configuredClasses.includes(period)).find(
      (period) => {
        const current = periodOf(request.now, period, timezone);
        return !request.completedFulls.some((time) => periodOf(new Date(time), period, timezone) === current);
      },
    ) ?? "daily"
  );
}

function explicitCategory(request: CategoryRequest): Category | undefined {
  if (request.explicitClass === undefined) return request.manual ? "manual" : undefined;
  const category = CATEGORIES.find((candidate) => candidate === request.explicitClass);
  if (category === undefined) {
    throw new BackupctlError("USAGE", `"${request.explicitClass}" is not a retention class`, {
      hint: `Use one of ${CATEGORIES.join(", ")}.`,
    });
  }
  if (request.manual && category !== "manual") {
    throw new BackupctlError("USAGE", `--manual and --class ${category} contradict each other`, {
      hint: "Give one of them; --retention-days sets how long a manual backup is kept.",
    });
  }
  return category;
}
