/** A range of a file: offset and length. */
type Span = readonly [number, number];

/** Where a sparse file's data goes: its chunks hold what lies between the holes, put together, so one may go on behind a hole. */
export class DataLayout {
  readonly #holes: readonly Span[];
  #nextHole = 0;
  #position = 0;

  constructor(holes: readonly Span[]) {
    this.#holes = holes;
  }

  /** The places of the next `length` bytes of data. */
  take(length: number): readonly Span[] {
    const spans: Span[] = [];
    for (let left = length; left > 0; ) {
      const hole = this.#holes[this.#nextHole];
      if (hole !== undefined && hole[0] === this.#position) {
        this.#position += hole[1];
        this.#nextHole++;
        continue;
      }
      const room = hole === undefined ? left : Math.min(left, hole[0] - this.#position);
      spans.push([this.#position, room]);
      this.#position += room;
      left -= room;
    }
    return spans;
  }
}
