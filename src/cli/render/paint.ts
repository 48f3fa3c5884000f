import type { Tint } from "./look.ts";

export type Paint = (text: string, tint: Tint) => string;

export const plainPaint: Paint = (text) => text;

interface ColourQuestion {
  /** False: `--no-color`. */
  readonly wanted: boolean;
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** `--no-color`, then NO_COLOR (no-color.org), then FORCE_COLOR, then whether it is a terminal that knows colours. */
export function colourLevel({ wanted, isTerminal, env }: ColourQuestion): 0 | 1 | 2 | 3 {
  const noColour = env.NO_COLOR;
  const forced = env.FORCE_COLOR;
  if (!wanted || (noColour !== undefined && noColour !== "")) return 0;
  if (forced !== undefined && forced !== "") {
    if (forced === "0" || forced === "false") return 0;
    if (forced === "2") return 2;
    return forced === "3" ? 3 : 1;
  }
  return isTerminal && env.TERM !== "dumb" ? 1 : 0;
}

/** chalk is loaded only where there is colour. */
export async function loadPaint(question: ColourQuestion): Promise<Paint> {
  const level = colourLevel(question);
  if (level === 0) return plainPaint;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level });
  const tints: Readonly<Record<Tint, (text: string) => string>> = {
    strong: chalk.bold,
    dim: chalk.dim,
    good: chalk.green,
    caution: chalk.yellow,
    bad: chalk.red,
  };
  return (text, tint) => tints[tint](text);
}
