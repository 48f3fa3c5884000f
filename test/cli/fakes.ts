import type { LoadedConfig } from "../../src/config/config.ts";
import type { BackupId, BackupMetadata } from "../../src/domain/backup.ts";
import type {
  BackupDetails,
  BackupSummary,
  BackupVerification,
  CleanupPlan,
  CleanupResult,
  CleanupSimulation,
  CreatePlan,
  CreateResult,
  Operations,
  Progress,
  ReplicateResult,
  RestorePlan,
  RestoreResult,
  RestoreSourcePlan,
  RunStatus,
  ScheduleInstallation,
  ScheduleSummary,
  StorageCheck,
  StorageSummary,
} from "../../src/operations/operations.ts";
import { NO_LIMITS } from "../helpers/no-limits.ts";

const FULL = "550e8400-e29b-41d4-a716-446655440000";
const CHILD = "660e8400-e29b-41d4-a716-446655440001";

function brand(id: string): BackupId {
  // Fixtures are ids by construction.
  return id as BackupId;
}

export const fullId = brand(FULL);
export const childId = brand(CHILD);
export const NOW = new Date("2026-01-11T12:00:00Z");

export const backup: BackupSummary = {
  id: fullId,
  type: "full",
  mode: "full",
  category: "daily",
  status: "completed",
  trusted: true,
  timestamp: "2026-01-11T02:00:00.000Z",
  completedAt: "2026-01-11T02:00:42.000Z",
  durationSeconds: 42,
  sizeBytes: 52_428_800,
  storedBytes: 15_728_640,
  encrypted: true,
  verified: true,
  parentId: undefined,
  retentionUntil: "2026-02-10T02:00:00.000Z",
  hold: undefined,
  tags: ["auto", "production"],
  description: "nightly",
  host: "web-1",
  components: ["database", "files"],
  warnings: 0,
  damagedIn: [],
  error: undefined,
};

const metadata: BackupMetadata = {
  version: 1,
  id: fullId,
  repository_id: "770e8400-e29b-41d4-a716-446655440002",
  type: "full",
  mode: "full",
  category: "daily",
  timestamp: backup.timestamp,
  completed_at: "2026-01-11T02:00:42.000Z",
  duration_seconds: 42,
  size: 52_428_800,
  compressed_size: 15_000_000,
  stored_size: 15_728_640,
  encrypted: true,
  encryption_algorithm: "AES-256-GCM",
  key_id: "local:ab12",
  compressed: true,
  compression: { algorithm: "zstd", level: 3 },
  checksum: "sha256:00",
  parent_id: null,
  previous_id: null,
  lineage: [{ id: fullId, path: "full/daily/x" }],
  storage_path: "full/daily/2026-01-11",
  status: "completed",
  created_by: "root",
  host: "web-1",
  software_version: "0.1.0",
  tags: ["auto"],
  description: "nightly",
  retention_until: "2026-02-10T02:00:00.000Z",
  components: { database: { size: 1024, stored_size: 512, sources: ["shop"], counts: { tables: 3 } } },
  sources: [
    {
      name: "shop",
      engine: "postgres",
      kind: "stream",
      component: "database",
      status: "completed",
      size: 1024,
      new_size: 1024,
      stored_size: 512,
      counts: { tables: 3, rows: 120 },
      versions: { pg_dump: "16.2" },
      duration_seconds: 2,
      unreadable: 0,
      warnings: [],
    },
  ],
  objects: { count: 4, bytes: 15_728_640 },
  verified: "blocks",
  warnings: ["the clock went back"],
};

export const details: BackupDetails = {
  ...backup,
  metadata,
  notes: {},
  compressionRatio: 3.4,
  location: "file:///var/backups/full/daily/2026-01-11",
  copies: [{ storage: "main", state: "complete", at: "2026-01-11T02:00:42.000Z" }],
  verification: { at: "2026-01-11T03:00:00.000Z", depth: "full", passed: true },
  restoreCount: 1,
  lastRestore: "2026-01-11T04:00:00.000Z",
  children: [childId],
  error: undefined,
};

export const createPlan: CreatePlan = {
  type: "full",
  mode: "full",
  requestedMode: "incremental",
  modeReason: "no full backup exists yet",
  category: "daily",
  parentId: undefined,
  sources: [{ name: "shop", engine: "postgres", component: "database", estimatedBytes: 1024 }],
  storages: ["main"],
  encrypted: true,
  compression: "zstd 3",
  estimatedBytes: 1024,
  uncertain: false,
  estimatedSeconds: 20,
};

export const createResult: CreateResult = {
  created: true,
  backup,
  plan: createPlan,
  sources: [
    {
      name: "shop",
      status: "completed",
      sizeBytes: 1024,
      newBytes: 1024,
      storedBytes: 512,
      seconds: 2,
      counts: { tables: 3 },
      unreadable: [],
      error: undefined,
    },
  ],
  storages: [{ name: "main", state: "complete" }],
  warnings: [],
};

export const verification: BackupVerification = {
  backupId: fullId,
  passed: true,
  depth: "full",
  verifiedAt: "2026-01-11T12:00:00.000Z",
  seconds: 12,
  storage: "main",
  checks: {
    checksum_validation: "passed",
    file_integrity: "passed",
    encryption_validation: "passed",
    compression_validation: "passed",
    metadata_validation: "passed",
    component_completeness: "passed",
    restore_comparison: "skipped",
  },
  components: { database: { status: "passed", sizeVerified: 1024, files: 0 } },
  issues: [],
  recommendations: ["Backup is healthy and can be used for restore operations"],
  repaired: [],
};

export const restoreSource: RestoreSourcePlan = {
  name: "uploads",
  engine: "files",
  component: "files",
  place: "/tmp/look",
  exists: false,
  contents: [],
  overwrites: [],
  bytes: 2048,
  bytesToFetch: 1024,
  entries: 3,
  packs: 1,
  deletes: 0,
  downtime: false,
};

export const restorePlan: RestorePlan = {
  backup,
  gap: undefined,
  lineage: [fullId],
  storage: "main",
  sources: [restoreSource],
  bytesToRestore: 2048,
  bytesToFetch: 1024,
  packs: 1,
  estimatedSeconds: 3,
  downtime: false,
  frozen: [],
  refusals: [],
  inPlace: false,
  warnings: [],
};

export const restoreResult: RestoreResult = {
  restoreId: "880e8400-e29b-41d4-a716-446655440003",
  backupId: fullId,
  seconds: 3,
  bytes: 2048,
  sources: [
    {
      name: "uploads",
      place: "/tmp/look",
      status: "completed",
      checks: [{ name: "entries", passed: true, detail: "3 of 3" }],
      error: undefined,
    },
  ],
  warnings: [],
};

export const progress: Progress = {
  phase: "backing_up_files",
  phasesCompleted: ["database_backup"],
  phasesRemaining: ["verification"],
  percent: 65.4,
  bytesDone: 3_489_660_928,
  bytesTotal: 5_368_709_120,
  filesDone: 1234,
  filesTotal: 1523,
  bytesPerSecond: 2_097_152,
  secondsElapsed: 1755,
  secondsRemaining: 945,
  activity: "/data/uploads/bot-123/documents/large-file.pdf",
};

export const runStatus: RunStatus = {
  backupId: fullId,
  operation: "create",
  status: "running",
  progress,
  startedAt: "2026-01-11T11:30:45.000Z",
  endedAt: undefined,
  holder: { pid: 4711, host: "web-1", alive: true },
  error: undefined,
};

export const storageSummary: StorageSummary = {
  name: "main",
  type: "local",
  role: "primary",
  address: "local:/var/backups/site",
  copies: { complete: 12, damaged: 0 },
  lag: { backups: 0, bytes: 0, oldest: undefined },
  storedBytes: 734_003_200,
  bytesByType: { full: 629_145_600, database: 104_857_600 },
  space: { freeBytes: 53_687_091_200, totalBytes: 107_374_182_400 },
  problem: undefined,
};

export const awayStorage: StorageSummary = {
  ...storageSummary,
  name: "offsite",
  role: "replica",
  address: "local:/mnt/offsite",
  copies: { complete: 10, damaged: 1 },
  lag: { backups: 2, bytes: 104_857_600, oldest: "2026-01-10T02:00:00.000Z" },
  space: {},
  problem: {
    code: "STORAGE_NOT_FOUND",
    message: 'storage "offsite": /mnt/offsite does not exist',
    hint: "If its disk should be mounted there, mount it.",
  },
};

const storageCheck: StorageCheck = {
  name: "main",
  type: "local",
  address: "local:/var/backups/site",
  results: [
    { what: "write", outcome: "works" },
    { what: "latency", outcome: "works", detail: "0.2 ms a request" },
    { what: "free space", outcome: "absent", detail: "this service does not tell it" },
  ],
  settings: ["checksums: when_required"],
  passed: true,
};

export const cleanupPlan: CleanupPlan = {
  brakes: [],
  storages: [
    {
      name: "main",
      verdicts: [
        { backup, keep: true, reasons: [{ kind: "date", text: "daily until 2026-02-10" }], bytes: 15_728_640 },
        {
          backup: { ...backup, id: childId, timestamp: "2025-12-01T02:00:00.000Z" },
          keep: false,
          reasons: [{ kind: "expired", text: "daily, expired 2025-12-31" }],
          bytes: 15_728_640,
        },
      ],
    },
  ],
};

export const cleanupResult: CleanupResult = {
  plan: cleanupPlan,
  archived: [{ backupId: fullId, to: "vault" }],
  frozen: [],
  storages: [
    {
      name: "main",
      leftOut: false,
      removed: [childId],
      bytes: 15_728_640,
      locked: [],
      notRemoved: [],
      failure: undefined,
    },
  ],
};

const tooMuch = {
  kind: "max-delete",
  text: '5 of 20 backups in storage "main" would go, 25 %, and max_delete is 20 %',
} as const;

export const cleanupSimulation: CleanupSimulation = {
  schedules: ["nightly"],
  cleanups: ["tidy"],
  locksUnknown: ["offsite"],
  sizesUnknown: ["incremental"],
  days: [1, 2, 3].map((day) => ({
    refused: day === 1 ? undefined : { since: new Date(NOW.getTime() + 2 * 86_400_000), brake: tooMuch },
    at: new Date(NOW.getTime() + day * 86_400_000),
    storages: [{ name: "main", backups: day, full: day, bytes: day * 1_000_000, removed: 0, oldest: backup.timestamp }],
  })),
};

export const replicateResult: ReplicateResult = {
  dryRun: false,
  storages: [
    {
      name: "offsite",
      copied: [fullId],
      bytes: 3_489_660_928,
      notCopied: [],
      failure: undefined,
      lag: { backups: 0, bytes: 0, oldest: undefined },
    },
  ],
  warnings: [],
};

export const scheduleSummary: ScheduleSummary = {
  ...{ name: "nightly", operation: "create", enabled: true, cron: "0 2 * * *", timezone: "UTC" },
  next: "2026-01-12T02:00:00.000Z",
  last: {
    scheduledFor: "2026-01-11T02:00:00.000Z",
    startedAt: "2026-01-11T02:00:01.000Z",
    endedAt: "2026-01-11T02:04:05.000Z",
    status: "completed",
    summary: `backup ${fullId} completed: full, 700 MiB stored`,
  },
  counts: { total: 365, completed: 363, failed: 2 },
  missed: undefined,
};

export const installation: ScheduleInstallation = {
  parts: [{ place: "/etc/systemd/system/backupctl-shop-nightly.timer", text: "[Timer]\n" }],
  removed: ["backupctl-shop-old.timer"],
};

export interface Call {
  readonly name: string;
  readonly request: unknown;
}

/** Answers with the fixtures above unless told otherwise, and remembers what it was asked. */
export function fakeOperations(calls: Call[], overrides: Partial<Operations> = {}): Operations {
  const answers: Operations = {
    init: async () => ({
      configPath: "/site/backup.config.yaml",
      configWritten: true,
      keyPath: "/site/backup.key",
      keyWritten: true,
      storages: [{ name: "main", address: "/var/backups", created: true }],
      repositoryId: "770e8400-e29b-41d4-a716-446655440002",
    }),
    planCreate: async () => createPlan,
    create: async () => createResult,
    list: async ({ limit, offset }) => ({ backups: [backup], total: 1, limit, offset }),
    show: async () => details,
    status: async () => runStatus,
    verify: async () => ({ backups: [verification], passed: true }),
    planDelete: async () => ({ backups: [backup], protections: [], bytesFreed: 1024, locked: [], unasked: [] }),
    delete: async () => ({ deleted: [fullId], bytesFreed: 1024, locked: [], deletedAt: "2026-01-11T12:00:00.000Z" }),
    planCleanup: async () => cleanupPlan,
    cleanup: async () => cleanupResult,
    simulateCleanup: async () => cleanupSimulation,
    download: async () => ({
      backupId: fullId,
      files: [{ source: "shop", path: "out/shop.pgdump", sizeBytes: 1024 }],
      warnings: [],
    }),
    planRestore: async () => restorePlan,
    restore: async () => restoreResult,
    replicate: async ({ dryRun }) => ({ ...replicateResult, dryRun }),
    hold: async (_reference, reason) => ({ ...backup, hold: reason }),
    unhold: async () => backup,
    rebuildCatalog: async () => ({ found: 3, unverified: 1, unfinished: 0, damaged: [], seconds: 0.4 }),
    listStorages: async () => [storageSummary],
    checkStorage: async ({ onResult }) => {
      for (const result of storageCheck.results) onResult?.(result);
      return storageCheck;
    },
    listSchedules: async () => [scheduleSummary],
    runSchedule: async ({ name }) => ({
      ...{ name, ran: true, scheduledFor: "2026-01-11T02:00:00.000Z", exitCode: 0, problems: [] },
      summary: `backup ${fullId} completed: incremental, 12 MiB stored`,
      next: "2026-01-12T02:00:00.000Z",
    }),
    serveSchedules: async ({ onRun }) => onRun?.({ name: "nightly", exitCode: 3 }),
    installSchedules: async () => installation,
    uninstallSchedules: async () => ({ parts: [], removed: ["backupctl-shop-old.timer"] }),
    validateConfig: async () => ({ origin: "/site/backup.config.yaml", sources: 2, storages: 1, warnings: [] }),
    close: async () => undefined,
    ...overrides,
  };
  return recording(answers, calls);
}

function recording(operations: Operations, calls: Call[]): Operations {
  const note = <A extends readonly unknown[], R>(name: string, work: (...args: A) => R) => {
    return (...args: A): R => {
      calls.push({ name, request: name === "hold" ? args : args[0] });
      return work(...args);
    };
  };
  return {
    init: note("init", operations.init),
    planCreate: note("planCreate", operations.planCreate),
    create: note("create", operations.create),
    list: note("list", operations.list),
    show: note("show", operations.show),
    status: note("status", operations.status),
    verify: note("verify", operations.verify),
    planDelete: note("planDelete", operations.planDelete),
    delete: note("delete", operations.delete),
    planCleanup: note("planCleanup", operations.planCleanup),
    cleanup: note("cleanup", operations.cleanup),
    simulateCleanup: note("simulateCleanup", operations.simulateCleanup),
    download: note("download", operations.download),
    planRestore: note("planRestore", operations.planRestore),
    restore: note("restore", operations.restore),
    replicate: note("replicate", operations.replicate),
    hold: note("hold", operations.hold),
    unhold: note("unhold", operations.unhold),
    rebuildCatalog: note("rebuildCatalog", operations.rebuildCatalog),
    listStorages: note("listStorages", operations.listStorages),
    checkStorage: note("checkStorage", operations.checkStorage),
    listSchedules: note("listSchedules", operations.listSchedules),
    runSchedule: note("runSchedule", operations.runSchedule),
    serveSchedules: note("serveSchedules", operations.serveSchedules),
    installSchedules: note("installSchedules", operations.installSchedules),
    uninstallSchedules: note("uninstallSchedules", operations.uninstallSchedules),
    validateConfig: note("validateConfig", operations.validateConfig),
    close: note("close", operations.close),
  };
}

export function fakeConfig(warnings: readonly string[] = []): LoadedConfig {
  const forever = "forever" as const;
  const NO_RULES = { longer: {}, keep: { periods: {}, tags: [] }, maxBackups: undefined };
  return {
    config: {
      version: 1,
      name: "shop.example",
      timezone: "UTC",
      stateDir: "/nowhere",
      storages: [{ name: "main", type: "local", role: "primary", limits: NO_LIMITS, retention: NO_RULES }],
      create: { require: [] },
      encryption: { enabled: true, required: false, keys: [] },
      compression: { algorithm: "zstd", level: 3 },
      sources: [],
      notifiers: [],
      chain: { maxChain: 100, fullEvery: { amount: 7, unit: "d" } },
      verify: { onCreate: true },
      retention: {
        ...{ incremental: forever, daily: forever, weekly: forever, monthly: forever, yearly: undefined },
        ...{ snapshots: forever, manual: forever, maxDeletePercent: 20 },
      },
      schedules: [],
      targets: [],
      tools: {},
      restore: { maxGap: { amount: 15, unit: "m" } },
      orphanGrace: { amount: 1, unit: "d" },
      workers: undefined,
      tags: [],
    },
    origin: "/site/backup.config.yaml",
    strict: true,
    warnings,
    secrets: new Set(),
    resolveStorage: async () => ({}),
    resolveKey: async () => ({}),
    resolveSource: async () => ({}),
    resolveTarget: async () => ({}),
    resolveNotifier: async () => ({}),
    shown: () => ({ version: 1, name: "shop.example", encryption: { keys: { main: { key: "***" } } } }),
  };
}
