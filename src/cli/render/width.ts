import { stripVTControlCharacters } from "node:util";

const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
let segmenter: Intl.Segmenter | undefined;
const ASCII = /^[\x20-\x7e]*$/;

/** Made at first use: it costs more than the rest of the help together. */
function graphemesOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return segmenter.segment(text);
}

/** How many columns of a terminal the text takes. */
export function displayWidth(text: string): number {
  const bare = stripVTControlCharacters(text);
  if (ASCII.test(bare)) return bare.length;
  return [...graphemesOf(bare)].reduce((width, { segment }) => width + (WIDE.test(segment) ? 2 : 1), 0);
}

/** At most `width` columns of text without colour; what is cut leaves `…`. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of graphemesOf(text)) {
    used += displayWidth(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width < 1 ? "" : `${kept}…`;
}

/** Like `shorten`, cut in the middle: both ends of a path say something. */
export function shortenMiddle(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const letters = [...graphemesOf(text)].map(({ segment }) => segment);
  const tailWidth = Math.max(0, Math.ceil((width - 1) * 0.6));
  let tail = "";
  while (letters.length > 0 && displayWidth((letters.at(-1) ?? "") + tail) <= tailWidth)
    tail = (letters.pop() ?? "") + tail;
  const head = shorten(text, width - displayWidth(tail));
  return head + tail;
}

/** Words in lines of at most `width` columns, each line after the first indented. */
export function wrap(text: string, width: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && displayWidth(longer) > width) {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line].join("\n");
}
