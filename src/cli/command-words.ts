import type { Command } from "./command.ts";

/** The first words of an argument list that could be a command's name, at most two. */
export function commandWords(argv: readonly string[]): readonly string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length && words.length < 2; at += 1) {
    const word = argv[at] ?? "";
    if (word === "-c" || word === "--config") at += 1;
    else if (word === "--") break;
    else if (!word.startsWith("-")) words.push(word);
    else if (words.length === 1) break;
  }
  return words;
}

/** The command that an argument list names, whatever else is wrong with it. */
export function commandOf(argv: readonly string[], commands: readonly Command[]): Command | undefined {
  const [first, second] = commandWords(argv);
  return commands.find(({ name }) => name === first || name === `${first} ${second}`);
}
