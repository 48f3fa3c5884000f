import type { Config } from "../../config/config.ts";

interface RunbookFacts {
  readonly config: Config;
  readonly repositoryId: string;
  readonly storages: readonly { readonly name: string; readonly address: string }[];
  /** Engines whose sources are restored under a database's name, not to a path. */
  readonly restoredByName: ReadonlySet<string>;
}

/**
 * recovery/README.txt: what somebody needs who finds the backups and nothing else. It lies in the clear beside them, so it names
 * sources, storages and keys, and says nothing of where sources lie or what the keys are.
 */
export function runbookText({ config, repositoryId, storages, restoredByName }: RunbookFacts): string {
  const { keys, enabled } = config.encryption;
  return `RECOVERY OF ${printable(config.name)}

This storage holds backups made by backupctl. This file says how to get the data back, with the program or without it.
It holds no secret. Every backup writes it anew, and so does \`backupctl init\`.

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
 2. Without the configuration write one: \`backupctl init\` in an empty folder, then set the storage's place and the keys in it. For a
    local storage and a local key two environment variables do as well:
        export BACKUP_STORAGE_PATH=DIRECTORY-OF-THE-BACKUPS BACKUP_ENCRYPTION_KEY_FILE=KEY
 3. See what there is:            backupctl list
 4. Check one before using it:    backupctl verify latest
 5. Restore, source by source. With its configuration a source goes to its own place; with --to beside what is there:
${restoreCommands(config.sources, restoredByName)}
    What it would do:             add --dry-run
    As it was at some time:       --timestamp 2026-01-11T10:30:00Z in place of latest
    Ordinary files instead:       backupctl download ID --to /srv/downloaded   (ID as in the list)
 The catalog on the lost machine is not needed: it is made anew from this storage.

TO RESTORE WITHOUT BACKUPCTL

 recover.mjs beside this file needs Node (20 or newer; before 22.15 also the command zstd) and the key, nothing else. Copy the whole
 storage to a disk first if it is remote.

    node recover.mjs --help
    node recover.mjs list DIRECTORY-OF-THE-BACKUPS --key-file KEY
    node recover.mjs restore DIRECTORY-OF-THE-BACKUPS latest SOURCE --key-file KEY --to /srv/restored

 For a passphrase it is --passphrase-file FILE. Each source then lies there
    of engine files        as a folder with the whole paths in it
    of engine postgres     as globals.sql (psql -f globals.sql postgres) and a file for each database
                           (createdb app; pg_restore --dbname=app app.dump)
    of engine sqlite       as the database
    of engine environment  as lines NAME='value'
    of engine command      as what the command printed: for the program that reads it

WHAT TO RESTORE FIRST

 1. configuration and environment   2. databases   3. files   4. start the application   5. \`backupctl create\` a new full backup
`;
}

/** One line for each source; a database's server is in the configuration, and it takes a name where others take a path. */
function restoreCommands(sources: Config["sources"], restoredByName: ReadonlySet<string>): string {
  const commands = sources.map(({ name, engine }) => {
    const to = restoredByName.has(engine)
      ? `${name}_restored   (a database on its server; of several choose: --include NAME)`
      : `/srv/restored/${name}`;
    return `        backupctl restore latest --source ${name} --to ${to}`;
  });
  return commands.length === 0 ? "        backupctl restore latest --to /srv/restored" : commands.join("\n");
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
