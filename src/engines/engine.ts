import type { StreamEntry, TreeNode } from "../domain/artifact.ts";

export type { ExtendedAttributes, FoundAttributes, NodeType, StreamEntry, TreeNode } from "../domain/artifact.ts";

/**
 * The engine port: reads one kind of source, and restores it.
 *
 * An engine knows nothing of compression, keys or storage. It gives either a *stream* (the bytes of a dump, with named ranges)
 * or a *tree* (file entries in index order, whose content the pipeline reads itself, in its workers).
 */
export interface Engine {
  /** What the source would give, quickly and roughly, for the estimate at the start of a run. Never throws for a big source. */
  estimate(context: EngineContext): Promise<Estimate>;
  /** Starts the dump. Throws `SOURCE_FAILED`, `TOOL_MISSING`, `TOOL_TOO_OLD` before any byte is read where it can tell. */
  dump(context: DumpContext): Promise<StreamDump | TreeDump>;
  /** Facts about the place that a restore would change: does it exist, what is in it. Touches nothing. */
  inspectTarget(request: TargetRequest, context: EngineContext): Promise<TargetState>;
  /** For streams: writes the artifact into the target, beside what is there, and swaps at the end. */
  restore?(request: StreamRestore, context: EngineContext): Promise<RestoreOutcome>;
  /**
   * For trees: true for what a dump leaves out although it lies below the source's paths. `restore --delete` must leave it alone:
   * that the backup has it not does not mean that it was not there. `name` is relative to `/`.
   */
  readonly leavesOut?: (name: Buffer, isDirectory: boolean) => boolean;
  /** How `download` names the ordinary files that a stream artifact consists of. */
  readonly download?: {
    readonly files: (entries: readonly StreamEntry[], sizeBytes: number) => readonly DownloadFile[];
  };
}

export interface EngineContext {
  readonly sourceName: string;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
  /** Called with what is being read just now, for the progress line; may be called often. */
  readonly activity: (item: string) => void;
  /** A private directory (0700) for temporary files, removed after the run. */
  readonly temporaryDirectory: string;
}

export interface DumpContext extends EngineContext {
  /** `--table`: only these tables of a database. Given only where the definition `takesTables`. */
  readonly tables?: readonly string[];
}

export interface Estimate {
  readonly sizeBytes: number;
  readonly items?: number;
  /** True when `sizeBytes` is a guess (unknown output of a command). */
  readonly uncertain?: boolean;
}

export interface StreamDump {
  readonly shape: "stream";
  /** The artifact's kind in object names: `pgdump`, `sqlite`, `output`, `env`. */
  readonly kind: string;
  /** Pieces of any size, each handed over: whoever made it does not look at it again once the next one is asked for. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Called after the last byte: throws if the tool failed or did not end with its completion mark. */
  finish(): Promise<StreamSummary>;
}

export interface StreamSummary extends DumpFacts {
  readonly entries: readonly StreamEntry[];
  /** The object inventory of a database: goes into the sealed index only. */
  readonly inventory?: Readonly<Record<string, unknown>>;
}

export interface TreeDump {
  readonly shape: "tree";
  readonly kind: "tree";
  /** Directory by directory, in index order overall: raw name bytes, `/` before every other byte. */
  readonly nodes: AsyncIterable<readonly TreeNode[]>;
  finish(): Promise<DumpFacts>;
}

export interface DumpFacts {
  /** For metadata: `tables`, `rows`, `files`, `directories`, … */
  readonly counts: Readonly<Record<string, number>>;
  /** Tool and server versions, the method. */
  readonly versions: Readonly<Record<string, string>>;
  /** Entries that could not be read: the source is `completed_with_errors`. */
  readonly unreadable: readonly string[];
  /** Told to the operator when the source is done: an engine does not say them to `warn` as well. */
  readonly warnings: readonly string[];
}

/** Where a restore goes. Exactly what the plan shows. */
export interface TargetRequest {
  /** `--to PATH` (a folder, a file or, for a database engine, a database name), else undefined: the source's own place. */
  readonly to?: string;
  /** The overrides of `--target NAME` for this source, merged over the source's own options. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  readonly entries: readonly StreamEntry[];
}

export interface TargetState {
  /** For people: `database "app_restored" on localhost:5432`, `/srv/www`. */
  readonly place: string;
  readonly exists: boolean;
  /** What is there, one short line each: `12 tables, 40 MB`, `3 sessions of user app`. */
  readonly contents: readonly string[];
  /** What happens to what is there if the restore goes on. */
  readonly overwrites: readonly string[];
  /** The ordinary file that it is, where it is one. */
  readonly file?: string;
  /** The application can't use the target meanwhile. */
  readonly downtime: boolean;
  /** Set when this engine can't restore there: says why and what to do instead (`download`, `--to`). */
  readonly refusal?: string;
}

export interface StreamRestore extends TargetRequest {
  /** The artifact's bytes, in order, every chunk already checked against its SHA-256. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  readonly inventory?: Readonly<Record<string, unknown>>;
  readonly dropExisting: boolean;
  readonly overwrite: boolean;
  /**
   * For `verify --deep`, asked only of engines whose `--to` is a name: restore beside the target and check, but put nothing in its
   * place, change nothing else (roles), and leave nothing.
   */
  readonly rehearsal?: boolean;
  /**
   * Called before the first change of the target, until which a failure or a kill leaves it as it was. What it returns is called where that
   * change failed and the target is as it was after all.
   */
  readonly coming?: () => () => void;
}

export interface RestoreOutcome {
  readonly place: string;
  /** Checks made after the restore, each shown to the operator. */
  readonly checks: readonly { readonly name: string; readonly passed: boolean; readonly detail: string }[];
  readonly warnings: readonly string[];
}

/** An ordinary file made from a range of a stream artifact. */
export interface DownloadFile {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface EngineDefinition<Options = unknown> {
  readonly engine: string;
  /** The component a source of this engine belongs to unless the config says otherwise. */
  readonly component: string;
  /** What `--to` means for its streams: a path (the default), or the name of a database on its server. */
  readonly toMeans?: "path" | "name";
  /** Options for a source that only a backup tells of: they do for its downloads and for a restore with `--to`. */
  readonly unconfigured?: Readonly<Record<string, unknown>>;
  /** Single tables can be chosen with `--table`. */
  readonly takesTables?: boolean;
  /** The external programs whose paths the config's `tools:` may give. */
  readonly tools?: readonly string[];
  readonly options: () => Promise<unknown>;
  readonly open: (options: Options, tools: EngineTools) => Engine | Promise<Engine>;
}

/** The config's `tools:` table: paths of external programs, e.g. `pg_dump`. */
export type EngineTools = Readonly<Record<string, string>>;
