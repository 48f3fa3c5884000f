import type { Config } from "../config/config.ts";

interface RunbookFacts {
  readonly config: Config;
  readonly repositoryId: string;
  readonly storages: readonly { readonly name: string; readonly address: string }[];
}

/**
 * recovery/README.txt: what somebody needs who finds the backups and nothing else. It lies in the clear beside them, so it names
 * sources, storages and keys, and says nothing of where sources lie or what the keys are.
 */
export function runbookText({ config, repositoryId, storages }: RunbookFacts): string {
  const { keys, enabled } = config.encryption;
  return `RECOVERY OF ${printable(config.name)}

This storage holds backups made by backupctl. This file says how to get the data back, with the program or without it.
It holds no secret. It is written anew by \`backupctl init\`; run that after sources, storages or keys have changed.

Repository ${repositoryId}

WHAT IS BACKED UP

${table(config.sources, ({ name, engine, component, category }) => [name, `${component}, engine ${engine}${category === undefined ? "" : `, ${category}`}`])}

WHERE THE BACKUPS ARE

${table(
  config.storages.map(({ name, role, type }) => ({
    name,
    role,
    type,
    address: storages.find((storage) => storage.name === name)?.address,
  })),
  ({ name, role, type, address }) => [name, `${role}, ${address ?? type}`],
)}

THE KEYS

${enabled ? "Backups are sealed with AES-256-GCM. Any one of these keys opens all of them; without one nothing can be read:" : "New backups are not encrypted. Older ones may be; these keys open them:"}

${table(keys, ({ name, provider }) => [name, `provider ${provider}`])}

The keys are not here. Whoever looks after this site keeps them somewhere else.

TO RESTORE WITH BACKUPCTL

 1. Install backupctl, and fetch the key (and the configuration, if a copy was kept).
 2. Without a configuration, write one: \`backupctl init\`, then set the storage's place and the key file in it. For a local
    storage two environment variables are enough: BACKUP_STORAGE_PATH and BACKUP_ENCRYPTION_KEY.
 3. See what there is:            backupctl list
 4. Check one before using it:    backupctl verify latest
 5. See what a restore would do:  backupctl restore latest --to /srv/restored --dry-run
 6. Restore it:                   backupctl restore latest --to /srv/restored
    One source:                   backupctl restore latest --source ${printable(config.sources[0]?.name ?? "NAME")} --to /srv/restored
    As it was at some time:       backupctl restore --timestamp 2026-01-11T10:30:00Z --to /srv/restored
    Ordinary files only:          backupctl download latest --to /srv/downloaded
 The catalog on the lost machine is not needed: it is made anew from this storage.

TO RESTORE WITHOUT BACKUPCTL

 recover.mjs beside this file needs Node and the key, nothing else. Copy the whole storage to a disk first if it is remote.

    node recover.mjs --help
    node recover.mjs list DIRECTORY-OF-THE-BACKUPS --key-file KEY
    node recover.mjs restore DIRECTORY-OF-THE-BACKUPS latest SOURCE --key-file KEY --to /srv/restored

 A tree of files becomes a folder. A dump becomes a file: pg_restore takes one of engine postgres, sqlite3 opens one of engine
 sqlite, and the output of a command goes to the program that reads it.

WHAT TO RESTORE FIRST

 1. configuration and environment   2. databases   3. files   4. start the application   5. \`backupctl create\` a new full backup
`;
}

function table<T>(rows: readonly T[], cells: (row: T) => readonly [string, string]): string {
  const texts = rows.map(cells);
  if (texts.length === 0) return "  (none)";
  const width = Math.max(...texts.map(([name]) => name.length));
  return texts.map(([name, text]) => `  ${printable(name).padEnd(width)}  ${printable(text)}`).join("\n");
}

/** One line, whatever the configuration says. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, " ");
}
