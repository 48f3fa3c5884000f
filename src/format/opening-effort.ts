import type { WrappingKey } from "./keys-object.ts";

type Parameters = Readonly<Record<string, string | number>>;

/** Derivations that may open nothing: so many at first, and so many more for each that opened something. */
const FAILURES_AT_FIRST = 96;
const FAILURES_FOR_EACH_OPENED = 4;

/**
 * What the opening of many backups may cost. Keys objects are not authenticated: whoever can write to the storage can plant backups by the
 * thousand, whose wraps all want a derivation of their own. Those of real backups share theirs, or open something.
 */
export class OpeningEffort {
  readonly #failed = new Set<string>();
  readonly #opened = new Set<string>();
  #refused = 0;

  /** How many wraps were not tried. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether a wrap with these parameters may be tried with a key. */
  allows(key: WrappingKey, parameters: Parameters): boolean {
    const id = idOf(key, parameters);
    // What this host makes itself, and derives in any case.
    if (key.salt === undefined || key.salt.toString("base64") === parameters.salt) return true;
    if (this.#opened.has(id) || this.#failed.has(id)) return true;
    if (this.#failed.size < FAILURES_AT_FIRST + FAILURES_FOR_EACH_OPENED * this.#opened.size) return true;
    this.#refused++;
    return false;
  }

  note(key: WrappingKey, parameters: Parameters, hasOpened: boolean): void {
    const id = idOf(key, parameters);
    if (!hasOpened) {
      if (!this.#opened.has(id)) this.#failed.add(id);
      return;
    }
    this.#failed.delete(id);
    this.#opened.add(id);
  }
}

function idOf({ provider, name }: WrappingKey, parameters: Parameters): string {
  return JSON.stringify([provider, name, parameters]);
}
