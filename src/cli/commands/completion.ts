import { BackupctlError } from "../../errors.ts";
import { defineCommand } from "../command.ts";
import { completionScript, SHELLS } from "../completion.ts";

export const completion = defineCommand({
  name: "completion",
  group: "Set-up",
  summary: "a completion script for bash, zsh or fish",
  description: [
    "Prints the script; your shell's startup file, or the place where it looks for completions, takes it in.",
  ],
  argument: { placeholder: "SHELL", description: "bash, zsh or fish", required: true, choices: SHELLS },
  options: {},
  examples: [
    { command: 'eval "$(backupctl completion bash)"', text: "In ~/.bashrc" },
    { command: "backupctl completion zsh > ~/.zfunc/_backupctl", text: "Where ~/.zfunc is in fpath" },
    { command: "backupctl completion fish > ~/.config/fish/completions/backupctl.fish", text: "For fish" },
  ],
  exitCodes: {},
  json: false,
  run: async ({ output, commands }, _values, [wanted]) => {
    const shell = SHELLS.find((known) => known === wanted);
    if (shell === undefined) {
      throw new BackupctlError("USAGE", `there is no completion for "${wanted}"`, {
        hint: `Use one of ${SHELLS.join(", ")}.`,
      });
    }
    output.print(completionScript(shell, commands).trimEnd());
    return 0;
  },
});
