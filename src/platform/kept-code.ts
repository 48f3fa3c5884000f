import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Module } from "node:module";
import { basename, dirname } from "node:path";
import { Script } from "node:vm";

const HEAD = "(function (exports, require, module, __filename, __dirname) { ";
const TAIL = "\n})";
/** Of V8's code it is used again only whole: V8 itself looks at no more than its head, and crashes over damage. */
const CHECKSUM_BYTES = 32;
/** V8 forgets what it compiled for functions that have not run for a while: of a longer run it is kept now, not at its end. */
const LONG_RUN_MS = 4_000;

type Codes = ReadonlyMap<string, Buffer>;
type Compile = (this: NodeJS.Module, source: string, file: string, format?: string) => unknown;

/**
 * Loads the program's files from now on with the code that V8 made of them in an earlier run, kept in `file`. Node's own cache has only what
 * runs while a file is loaded; this has all functions that ran.
 * @param file for runs that do much the same, of the same Node; absent or damaged it is nothing but slower
 * @param folder whose files have names that change with their content
 * @returns what keeps the code of a short run at its end, if it loaded files of which there was none
 */
export function useKeptCode(file: string, folder: string): () => void {
  const prototype: NodeJS.Module & { _compile?: Compile } = Module.prototype;
  const compile = prototype._compile;
  if (compile === undefined) return () => undefined;
  const kept = readCodes(file);
  const scripts = new Map<string, Script>();
  prototype._compile = function (source, path, format) {
    if (dirname(path) !== folder) return compile.call(this, source, path, format);
    const name = basename(path);
    const cachedData = kept.get(name);
    const script = new Script(`${HEAD}${source}${TAIL}`, {
      filename: path,
      columnOffset: -HEAD.length,
      ...(cachedData === undefined ? {} : { cachedData }),
    });
    scripts.set(name, script);
    const require = (id: string): unknown => this.require(id);
    return script.runInThisContext().call(this.exports, this.exports, require, this, path, folder);
  };
  let done = false;
  const keep = (): void => {
    if (done) return;
    done = true;
    if ([...scripts.keys()].every((name) => kept.has(name))) return;
    writeCodes(
      file,
      new Map([...kept, ...[...scripts].map(([name, script]) => [name, script.createCachedData()] as const)]),
    );
  };
  setTimeout(keep, LONG_RUN_MS).unref();
  return keep;
}

/** A checksum of the rest, a line for each file with its size, an empty line, and the codes in this order. */
function readCodes(file: string): Codes {
  const codes = new Map<string, Buffer>();
  const bytes = readWhole(file);
  if (bytes === undefined) return codes;
  const end = bytes.indexOf("\n\n", CHECKSUM_BYTES);
  let start = end + 2;
  for (const line of bytes.toString("latin1", CHECKSUM_BYTES, end).split("\n")) {
    const [name = "", size] = line.split(" ");
    codes.set(name, bytes.subarray(start, start + Number(size)));
    start += Number(size);
  }
  return codes;
}

function readWhole(file: string): Buffer | undefined {
  try {
    const bytes = readFileSync(file);
    return checksum(bytes.subarray(CHECKSUM_BYTES)).equals(bytes.subarray(0, CHECKSUM_BYTES)) ? bytes : undefined;
  } catch {
    // Nothing was kept here yet, or it can't be read: the program compiles.
    return undefined;
  }
}

/** Loaded only where there is something to look at. */
function checksum(bytes: Buffer): Buffer {
  return process.getBuiltinModule("node:crypto").hash("sha256", bytes, "buffer");
}

function writeCodes(file: string, codes: Codes): void {
  const lines = [...codes].map(([name, { length }]) => `${name} ${length}\n`);
  const rest = Buffer.concat([Buffer.from(`${lines.join("")}\n`, "latin1"), ...codes.values()]);
  try {
    mkdirSync(dirname(file), { recursive: true });
    // In its place, and nothing beside it that a kill would leave: what is half, or of two at once, its checksum tells.
    writeFileSync(file, Buffer.concat([checksum(rest), rest]));
  } catch {
    // No leave or no room to write: the next run compiles, too.
  }
}
