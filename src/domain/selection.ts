import { BackupctlError } from "../errors.ts";
import { MODES, type Mode } from "./backup.ts";

export interface SelectableSource {
  readonly name: string;
  readonly engine: string;
  readonly component: string;
  readonly category?: string | undefined;
}

export interface SelectionRequest<S extends SelectableSource> {
  readonly configured: readonly S[];
  /** `--type`: `full`, a component, or a mode (which means that mode over everything). */
  readonly type?: string | undefined;
  readonly mode?: string | undefined;
  /** `--component`, `--source`, `--category`; empty: not narrowed. */
  readonly components: readonly string[];
  readonly sources: readonly string[];
  readonly categories: readonly string[];
  /** `--table`; empty: whole databases. */
  readonly tables: readonly string[];
  /** Whether single tables of a source can be chosen. */
  readonly takesTables: (source: S) => boolean;
}

export interface Selection<S extends SelectableSource> {
  readonly sources: readonly S[];
  /** `full`, or the one component that all selected sources belong to when the request named less than everything. */
  readonly type: string;
  readonly mode: Mode;
}

const BUILT_IN_COMPONENTS: readonly string[] = ["database", "files", "configuration"];
const FILES_ENGINE = "files";

/**
 * Which sources a run takes, and the type and mode that the backup gets. Narrowing options all apply together.
 * @throws `INVALID_BACKUP_TYPE`, `COMPONENT_NOT_FOUND`, `SOURCE_NOT_FOUND`; `CONFIG_INVALID` if no source is configured.
 */
export function selectSources<S extends SelectableSource>(request: SelectionRequest<S>): Selection<S> {
  requireSources(request.configured);
  const { type, mode } = readTypeAndMode(request);
  const ofType =
    type === "full" ? request.configured : request.configured.filter((source) => source.component === type);
  const named = narrowBySource(narrowByComponent(ofType, request, type), request);
  const sources = narrowByTable(narrowByCategory(named, request), request);
  const effectiveType = sources.length === request.configured.length ? type : narrowestType(sources, request, type);
  return { sources, type: effectiveType, mode };
}

/** @throws `CONFIG_INVALID` if there is nothing to back up. */
export function requireSources(configured: readonly unknown[]): void {
  if (configured.length > 0) return;
  throw new BackupctlError("CONFIG_INVALID", "no source is configured", {
    hint: "Add one under `sources:` in the config, or, without a file, by a variable such as BACKUP_FILES_PATHS: docs/configuration.md has all.",
  });
}

/** `configurations` is another spelling of `configuration`, unless a component of the user's has that name. */
function canonicalComponent(name: string, known: readonly string[]): string {
  return name === "configurations" && !known.includes(name) ? "configuration" : name;
}

function componentsOf(sources: readonly SelectableSource[]): readonly string[] {
  return [...new Set(sources.map((source) => source.component))];
}

function readTypeAndMode<S extends SelectableSource>(
  request: SelectionRequest<S>,
): { readonly type: string; readonly mode: Mode } {
  const known = componentsOf(request.configured);
  const type = canonicalComponent(request.type ?? "full", known);
  if (known.includes(type)) return { type, mode: readMode(request.mode) };
  if (type === "full") return { type, mode: readMode(request.mode) };
  if (type === "transaction" || MODES.some((mode) => mode === type)) {
    const mode = readMode(type);
    if (request.mode !== undefined && readMode(request.mode) !== mode) {
      throw new BackupctlError(
        "INVALID_BACKUP_TYPE",
        `--type ${type} and --mode ${request.mode} contradict each other`,
        {
          hint: `Use --mode ${request.mode} alone, or with --type full.`,
        },
      );
    }
    return { type: "full", mode };
  }
  if (BUILT_IN_COMPONENTS.includes(type)) throw componentNotFound(type, known);
  throw new BackupctlError("INVALID_BACKUP_TYPE", `"${request.type}" is not a backup type`, {
    hint: `Use one of ${[...new Set(["full", ...known])].join(", ")}.`,
  });
}

function readMode(text: string | undefined): Mode {
  const mode = MODES.find((candidate) => candidate === (text ?? "full"));
  if (mode !== undefined) return mode;
  if (text === "transaction") {
    throw new BackupctlError("INVALID_BACKUP_TYPE", "transaction backups do not exist yet", {
      hint: "Use --mode incremental for what changed since the last backup.",
    });
  }
  throw new BackupctlError("INVALID_BACKUP_TYPE", `"${text}" is not a backup mode`, {
    hint: `Use one of ${MODES.join(", ")}.`,
  });
}

function narrowByComponent<S extends SelectableSource>(
  sources: readonly S[],
  request: SelectionRequest<S>,
  type: string,
): readonly S[] {
  if (request.components.length === 0) return sources;
  const known = componentsOf(request.configured);
  const wanted = request.components.map((name) => canonicalComponent(name, known));
  const available = componentsOf(sources);
  for (const name of wanted) {
    if (!known.includes(name)) throw componentNotFound(name, known);
    if (!available.includes(name)) {
      throw new BackupctlError("COMPONENT_NOT_FOUND", `component "${name}" is not part of --type ${type}`, {
        hint: "Leave out --type, or name a component of it.",
      });
    }
  }
  return sources.filter((source) => wanted.includes(source.component));
}

function narrowBySource<S extends SelectableSource>(sources: readonly S[], request: SelectionRequest<S>): readonly S[] {
  if (request.sources.length === 0) return sources;
  for (const name of request.sources) {
    if (sources.some((source) => source.name === name)) continue;
    const exists = request.configured.some((source) => source.name === name);
    throw new BackupctlError(
      "SOURCE_NOT_FOUND",
      exists ? `source "${name}" is left out by --type or --component` : `no source is named "${name}"`,
      { hint: `Use one of ${sources.map((source) => source.name).join(", ")}.` },
    );
  }
  return sources.filter((source) => request.sources.includes(source.name));
}

function narrowByCategory<S extends SelectableSource>(
  sources: readonly S[],
  request: SelectionRequest<S>,
): readonly S[] {
  if (request.categories.length === 0) return sources;
  const files = sources.filter((source) => source.engine === FILES_ENGINE);
  const known = files.flatMap((source) => (source.category === undefined ? [] : [source.category]));
  for (const category of request.categories) {
    if (known.includes(category)) continue;
    throw new BackupctlError("COMPONENT_NOT_FOUND", `no selected file source has the category "${category}"`, {
      hint:
        known.length === 0
          ? "Give file sources a `category:` in the config."
          : `Use one of ${[...new Set(known)].join(", ")}. The retention class is set with --class.`,
    });
  }
  return files.filter((source) => source.category !== undefined && request.categories.includes(source.category));
}

function narrowByTable<S extends SelectableSource>(sources: readonly S[], request: SelectionRequest<S>): readonly S[] {
  if (request.tables.length === 0) return sources;
  const databases = sources.filter(request.takesTables);
  if (databases.length > 0) return databases;
  const names = request.configured.filter(request.takesTables).map((source) => source.name);
  throw new BackupctlError("COMPONENT_NOT_FOUND", "--table fits no selected source: they are backed up whole", {
    hint: `Leave out --table${names.length === 0 ? "" : `, or choose from ${names.join(", ")} with --source`}.`,
  });
}

/** A run narrowed to sources of one component is a backup of that component. */
function narrowestType<S extends SelectableSource>(
  sources: readonly S[],
  request: SelectionRequest<S>,
  type: string,
): string {
  const [only, ...others] = componentsOf(sources);
  const narrowed =
    request.components.length + request.sources.length + request.categories.length + request.tables.length > 0;
  return narrowed && only !== undefined && others.length === 0 ? only : type;
}

function componentNotFound(name: string, known: readonly string[]): BackupctlError {
  return new BackupctlError("COMPONENT_NOT_FOUND", `no source belongs to component "${name}"`, {
    hint: `Use one of ${known.join(", ")}, or add a source of component ${name} to the config.`,
  });
}
