/** Whether whoever started this program ignores hangups, as nohup does: the launcher says it, and no tool gets to see that. */
export const hangupsAreIgnored = process.env.BACKUPCTL_HANGUPS === "ignored";
delete process.env.BACKUPCTL_HANGUPS;
