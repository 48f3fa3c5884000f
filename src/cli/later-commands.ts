/** Commands that the program is going to have, with what does the job until then. */
export const LATER_COMMANDS: Readonly<Record<string, string>> = {
  search:
    "See what a backup holds with `backupctl show BACKUP`, take files out with `backupctl download BACKUP --include PATH`.",
  diff: "Restore both beside each other with `backupctl restore BACKUP --to DIR` and compare them.",
  "test-restore": "Use `backupctl verify latest --deep`: it restores to a scratch place and compares.",
  timeline: "Use `backupctl list`.",
  "health-check": "Use `backupctl verify --last 24h`: it fails when nothing was made or anything is damaged.",
  monitor: "Use `backupctl status` for the running backup.",
  report: "Use `backupctl list --from 7d --json` for the facts of a week.",
  stats: "Use `backupctl list --json`.",
  alerts: "Let a schedule tell somebody with `notify` (docs/notify/), and a monitor call `backupctl schedule check`.",
  notify: "Name notifiers in the configuration: `backupctl schedule run NAME` tells them how it ended (docs/notify/).",
  key: "Key files are made by `backupctl init`.",
  audit: "Use `backupctl status` and `backupctl list --verbose`.",
  approve: "There is nothing to approve.",
  serve: "Use the command line; every command has --json.",
};
