import { TextDecoder } from "node:util";

const MASK = "***";
/** Shorter strings would mask half of every line. */
const MIN_LENGTH = 4;
/** Pieces of a longer secret are registered only if they say something about it. */
const MIN_PIECE_LENGTH = 8;

export interface Redactor {
  /** Secrets that become known later (a token, a fetched password). */
  add(secret: string): void;
  /** The text with every registered secret, in any of its usual spellings, replaced by `***`. */
  redact(text: string): string;
  /** `redact` and `printable`: what may go to a terminal or a log. */
  clean(text: string): string;
}

export function createRedactor(secrets: Iterable<string> = []): Redactor {
  const spellings = new Set<string>();
  let pattern: RegExp | undefined;

  function add(secret: string): void {
    for (const spelling of spellingsOf(secret)) spellings.add(spelling);
    pattern = undefined;
  }

  function redact(text: string): string {
    if (spellings.size === 0) return text;
    // Longest first, so that a secret within another does not leave the rest of that one standing.
    pattern ??= new RegExp(
      [...spellings]
        .sort((a, b) => b.length - a.length)
        .map(escapePattern)
        .join("|"),
      "g",
    );
    return text.replace(pattern, MASK);
  }

  for (const secret of secrets) add(secret);
  return {
    add,
    redact,
    // Twice: control characters between its letters could hide a secret from the first pass.
    clean: (text) => redact(printable(redact(text))),
  };
}

function spellingsOf(secret: string): string[] {
  const lines = secret.includes("\n") ? secret.split(/\r?\n/).filter((line) => line.length >= MIN_PIECE_LENGTH) : [];
  const encoded = percentEncoded(secret);
  const all = [
    secret,
    secret.trim(),
    printable(secret),
    ...lines,
    ...base64Spellings(secret),
    encoded,
    encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    encoded.replaceAll("%20", "+"),
    JSON.stringify(secret).slice(1, -1),
  ];
  return all.filter((spelling) => spelling.length >= MIN_LENGTH);
}

/** encodeURIComponent throws on lone surrogates, which have no encoded form to look for. */
function percentEncoded(secret: string): string {
  return secret.isWellFormed() ? encodeURIComponent(secret) : secret;
}

/** Base64 of the secret alone, and as it looks inside base64 of a longer text (`user:password`), at each of three offsets. */
function base64Spellings(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  const whole = bytes.toString("base64");
  const inside = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replaceAll("=", "");
    const partial = (offset + bytes.length) % 3 === 0 ? 0 : 1;
    return text.slice(offset === 0 ? 0 : offset + 1, text.length - partial);
  });
  const standard = [whole, whole.replaceAll("=", ""), ...inside.filter((text) => text.length >= MIN_PIECE_LENGTH)];
  return standard.flatMap((text) => [text, text.replaceAll("+", "-").replaceAll("/", "_")]);
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/**
 * C0 and C1 controls, bidirectional overrides and isolates, line separators, invisible spaces, tags and lone surrogates: what can
 * move the cursor, reorder or hide text, or forge a second line.
 */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/** The text in one line that shows what it holds: `\x1b`, `\u202e`; bytes that are not UTF-8 as `\xff`. */
export function printable(text: string | Uint8Array): string {
  return typeof text === "string" ? text.replace(UNPRINTABLE, escapeCharacter) : printableBytes(text);
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16);
  if (code > 0xffff) return `\\u{${digits}}`;
  return code < 0x100 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
}

function printableBytes(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return printable(decoder.decode(bytes));
  } catch {
    return [...sequences(bytes)].map((piece) => printableSequence(piece, decoder)).join("");
  }
}

/** Splits where a UTF-8 sequence would end by its first byte; what then does not decode is not UTF-8. */
function* sequences(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    const wanted = sequenceLength(bytes[at] ?? 0);
    while (end < bytes.length && end - at < wanted && ((bytes[end] ?? 0) & 0xc0) === 0x80) end++;
    yield bytes.subarray(at, end);
    at = end;
  }
}

function sequenceLength(first: number): number {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}

function printableSequence(bytes: Uint8Array, decoder: TextDecoder): string {
  try {
    return printable(decoder.decode(bytes));
  } catch {
    return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  }
}
