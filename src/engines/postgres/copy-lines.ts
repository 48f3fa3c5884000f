/**
 * Counts the lines of COPY data in a custom archive, where pg_dump writes each row as a chunk: a sign byte, four of length, and the row. In
 * WebAssembly, because what JavaScript does for each row is the third part of all that it does for a dump. In the text format:
 *
 *     (module
 *       (func $count (export "count") (param $at i32) (param $end i32)
 *         (local $byte i32) (local $found i32)
 *         (if (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8))
 *           (then (global.set $tail (i64.load align=1 (i32.sub (local.get $end) (i32.const 8)))))
 *           (else
 *             (local.set $byte (local.get $at))
 *             (block $out (loop $next
 *               (br_if $out (i32.ge_u (local.get $byte) (local.get $end)))
 *               (global.set $tail (i64.or
 *                 (i64.shr_u (global.get $tail) (i64.const 8))
 *                 (i64.shl (i64.extend_i32_u (i32.load8_u (local.get $byte))) (i64.const 56))))
 *               (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
 *               (br $next)))))
 *         (local.set $found (global.get $lines))
 *         (block $out (loop $next
 *           (br_if $out (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end)))
 *           (local.set $found (i32.add (local.get $found) (i32.popcnt (i8x16.bitmask (i8x16.eq
 *             (v128.load align=1 (local.get $at))
 *             (v128.const i8x16 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10))))))
 *           (local.set $at (i32.add (local.get $at) (i32.const 16)))
 *           (br $next)))
 *         (block $out (loop $next
 *           (br_if $out (i32.ge_u (local.get $at) (local.get $end)))
 *           (local.set $found (i32.add (local.get $found) (i32.eq (i32.load8_u (local.get $at)) (i32.const 10))))
 *           (local.set $at (i32.add (local.get $at) (i32.const 1)))
 *           (br $next)))
 *         (global.set $lines (local.get $found)))
 *       (func (export "walk") (param $at i32) (param $end i32) (result i32)
 *         (local $next i32)
 *         (block $out (loop $chunk
 *           (br_if $out (i32.gt_u (i32.add (local.get $at) (i32.const 5)) (local.get $end)))
 *           (br_if $out (i32.load8_u (local.get $at)))
 *           (local.set $next (i32.load offset=1 align=1 (local.get $at)))
 *           (br_if $out (i32.eqz (local.get $next)))
 *           (br_if $out (i32.gt_u (local.get $next) (i32.sub (i32.sub (local.get $end) (local.get $at)) (i32.const 5))))
 *           (local.set $at (i32.add (local.get $at) (i32.const 5)))
 *           (local.set $next (i32.add (local.get $at) (local.get $next)))
 *           (call $count (local.get $at) (local.get $next))
 *           (local.set $at (local.get $next))
 *           (br $chunk)))
 *         (local.get $at))
 *       (memory (export "memory") 1)
 *       (global $lines (export "lines") (mut i32) (i32.const 0))
 *       (global $tail (export "tail") (mut i64) (i64.const 0)))
 */
const MODULE = Buffer.from(
  [
    "0061736d01000000", // magic and version 1
    "010c0260027f7f0060027f7f017f", // types
    "0303020001", // functions
    "0503010001", // memory
    "060b027f0141000b7e0142000b", // globals
    "072805066d656d6f72790200056c696e65730300047461696c030105636f756e7400000477616c6b0001", // exports
    "0aff0102", // code
    "ab0101027f200120006b41084f0440200141086b2900002401052000210202400340200220014f0d01230142088820022d0000ad4238868424012002", // count
    "41016a21020c000b0b0b2300210302400340200041106a20014b0d0120032000fd000000fd0c0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0afd23fd64696a",
    "2103200041106a21000c000b0b02400340200020014f0d01200320002d0000410a466a2103200041016a21000c000b0b200324000b",
    "5001017f02400340200041056a20014b0d0120002d00000d01200028000121022002450d012002200120006b41056b4b0d01200041056a2100200020", // walk
    "026a2102200020021000200221000c000b0b20000b",
  ].join(""),
  "hex",
);

interface Exports {
  readonly memory: WebAssembly.Memory;
  /** Newlines so far. */
  readonly lines: WebAssembly.Global<number>;
  /** The last eight bytes, the first of them lowest. */
  readonly tail: WebAssembly.Global<bigint>;
  /** Of one chunk, or a part of it. */
  readonly count: (at: number, end: number) => void;
  /** Of all chunks that lie whole between `at` and `end`; gives the position behind them. The empty one, at the end of the data, is left. */
  readonly walk: (at: number, end: number) => number;
}

/** The module's memory: it can't see what lies elsewhere. */
const WINDOW_BYTES = 64 * 1024;

/** Counts the lines of one table's data after the other's, which come in pieces. */
export class CopyLines {
  readonly #module = new WebAssembly.Instance<Exports>(new WebAssembly.Module(MODULE)).exports;
  readonly #window = Buffer.from(this.#module.memory.buffer, 0, WINDOW_BYTES);
  #lines = 0;

  /** Before the first byte of a table's. */
  begin(): void {
    this.#lines = 0;
    this.#module.tail.value = 0n;
  }

  get lines(): number {
    return this.#lines;
  }

  /** The last eight bytes, zeros where there were fewer. */
  get tail(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(this.#module.tail.value);
    return bytes;
  }

  /** A chunk's bytes, or some of them. */
  add(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at += WINDOW_BYTES) {
      const length = Math.min(WINDOW_BYTES, end - at);
      bytes.copy(this.#window, 0, at, at + length);
      this.#module.count(0, length);
      this.#take();
    }
  }

  /** Whole chunks from `start` on, as many as there are and the window holds; gives the position behind them. */
  addChunks(bytes: Buffer, start: number): number {
    const length = Math.min(WINDOW_BYTES, bytes.length - start);
    bytes.copy(this.#window, 0, start, start + length);
    const passed = this.#module.walk(0, length);
    this.#take();
    return start + passed;
  }

  #take(): void {
    this.#lines += this.#module.lines.value;
    this.#module.lines.value = 0;
  }
}
