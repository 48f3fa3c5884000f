import { join } from "node:path";

/** What is measured, in this order: the three backups go into one repository, the rest reads it. */
export const WORKS = ["first", "unchanged", "changed", "restore", "one", "verify"] as const;
export type Work = (typeof WORKS)[number];

/**
 * A program or a pipe, as bash scripts. They find the data in $DATA (a tree) or run $DUMP (a database, to standard output), keep
 * the backups in $REPO and everything else in $STATE, and restore to $OUT, $ONE being the path of one file.
 */
export interface Contender {
  /** As in the keys of the results. */
  readonly key: string;
  readonly title: string;
  /** Programs without which it does not take part. */
  readonly needs: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly prepare: string;
  readonly scripts: Readonly<Partial<Record<Work, string>>>;
}

export const BACKUPCTL = join(import.meta.dirname, "../bin/backupctl");

function backupctl(source: string, restore: Contender["scripts"]): Contender {
  const create = `${BACKUPCTL} create -q`;
  return {
    key: "backupctl",
    title: "backupctl",
    needs: [],
    variables: { BACKUPCTL_CONFIG: "backup.config.yaml" },
    prepare: `cat > backup.config.yaml <<YAML
version: 1
name: bench
state_dir: $STATE/state
storages:
  main: {type: local, path: $REPO}
encryption:
  keys:
    main: {provider: local, key_file: $STATE/backupctl.key}
sources:
  bench: ${source}
YAML
(umask 077; od -An -vtx1 -N32 /dev/urandom | tr -d ' \\n' > backupctl.key)
${BACKUPCTL} init -q`,
    scripts: {
      first: create,
      unchanged: `${create} --mode incremental`,
      changed: `${create} --mode incremental`,
      verify: `${BACKUPCTL} verify latest -q`,
      ...restore,
    },
  };
}

/** The same without any check of what is written. A restore always checks, so it has none of its own. */
function withoutVerification(contender: Contender): Contender {
  const { first, unchanged, changed } = contender.scripts;
  const scripts = Object.entries({ first, unchanged, changed }).map(([work, script]) => [
    work,
    `${script} --no-verify`,
  ]);
  return {
    ...contender,
    key: "backupctl_no_verify",
    title: "backupctl --no-verify",
    scripts: Object.fromEntries(scripts),
  };
}

function restic(backup: string, restore: Contender["scripts"]): Contender {
  return {
    key: "restic",
    title: "restic",
    needs: ["restic"],
    variables: { RESTIC_PASSWORD: "bench" },
    prepare: 'restic -r "$REPO" --cache-dir "$STATE" init',
    scripts: {
      first: backup,
      unchanged: backup,
      changed: backup,
      verify: `${RESTIC} check --read-data`,
      ...restore,
    },
  };
}

function borg(create: (archive: string) => string, restore: Contender["scripts"]): Contender {
  return {
    key: "borg",
    title: "borg",
    needs: ["borg"],
    variables: { BORG_PASSPHRASE: "bench" },
    prepare: 'BORG_BASE_DIR="$STATE" borg init --encryption repokey-blake2 "$REPO"',
    scripts: { first: create("first"), unchanged: create("unchanged"), changed: create("changed"), ...restore },
  };
}

const MAKE_AGE_KEY = 'age-keygen -o "$STATE/age.key"';
const SEAL = 'zstd -q -3 -T0 | age -e -i "$STATE/age.key" -o "$REPO/backup"';
const OPEN = 'age -d -i "$STATE/age.key" "$REPO/backup" | zstd -q -d';
const RESTIC = 'restic -q -r "$REPO" --cache-dir "$STATE"';
const BORG = 'BORG_BASE_DIR="$STATE" borg';

export function treeContenders(): readonly Contender[] {
  const ours = backupctl("{engine: files, paths: [$DATA]}", {
    restore: `${BACKUPCTL} restore latest -q --yes --to "$OUT"`,
    one: `${BACKUPCTL} restore latest -q --yes --to "$OUT" --include "$ONE"`,
  });
  return [
    ours,
    withoutVerification(ours),
    restic(`${RESTIC} backup "$DATA"`, {
      restore: `${RESTIC} restore latest --target "$OUT"`,
      one: `${RESTIC} restore latest --target "$OUT" --include "$ONE"`,
    }),
    borg((archive) => `${BORG} create --compression zstd,3 "$REPO::${archive}" "$DATA"`, {
      restore: `cd "$OUT"; ${BORG} extract "$REPO::changed"`,
      one: `cd "$OUT"; ${BORG} extract "$REPO::changed" "\${ONE#/}"`,
    }),
    {
      key: "tar_zstd_age",
      title: "tar, zstd -3 -T0, age",
      needs: ["tar", "zstd", "age"],
      variables: {},
      prepare: MAKE_AGE_KEY,
      scripts: {
        first: `tar -C / -cf - "\${DATA#/}" | ${SEAL}`,
        restore: `${OPEN} | tar -C "$OUT" -xf -`,
        one: `${OPEN} | tar -C "$OUT" -xf - "\${ONE#/}"`,
      },
    },
  ];
}

/**
 * @param source as backupctl's configuration has it
 * @param tool what prints the dump
 */
export function dumpContenders(source: string, tool: string): readonly Contender[] {
  // The way back is a file, not a database: that would measure the server.
  const ours = backupctl(source, { restore: `${BACKUPCTL} download latest -q --to "$OUT"` });
  return [
    ours,
    withoutVerification(ours),
    restic(`$DUMP | ${RESTIC} backup --stdin --stdin-filename dump`, {
      restore: `${RESTIC} dump latest dump > "$OUT/dump"`,
    }),
    borg((archive) => `$DUMP | ${BORG} create --compression zstd,3 "$REPO::${archive}" -`, {
      restore: `${BORG} extract --stdout "$REPO::changed" > "$OUT/dump"`,
    }),
    {
      key: `${tool}_zstd_age`,
      title: `${tool}, zstd -3 -T0, age`,
      needs: ["zstd", "age"],
      variables: {},
      prepare: MAKE_AGE_KEY,
      scripts: { first: `$DUMP | ${SEAL}`, restore: `${OPEN} > "$OUT/dump"` },
    },
    {
      key: tool,
      title: `${tool} to nowhere`,
      needs: [],
      variables: {},
      prepare: "true",
      scripts: { first: "$DUMP > /dev/null" },
    },
  ];
}
