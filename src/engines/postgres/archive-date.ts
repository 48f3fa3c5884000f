/** Behind the magic, three bytes of version, and one each for the sizes of integers and offsets and for the format. */
const COMPRESSION_OFFSET = 11;
const DATE_FIELDS = [0, 0, 0, 1, 0, 70, 0];
/** Enough for the header up to and with its date, whatever the archive's version. */
const HEADER_BYTES = COMPRESSION_OFFSET + 5 + DATE_FIELDS.length * 9;

/**
 * Sets the creation date in a custom archive's header to 1970-01-01. It is the only thing in which two dumps of the same data
 * differ: with it gone an unchanged database stores nothing, and `--if-changed` can tell.
 * (The header's layout: `WriteHead` in PostgreSQL's pg_backup_archiver.c.)
 */
export async function* withoutDate(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of archive) {
    if (head === undefined) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < HEADER_BYTES) continue;
    yield clearDate(head);
    head = undefined;
  }
  // Shorter than any archive: the reader of archives says what is wrong with it.
  if (head !== undefined && head.length > 0) yield head;
}

function clearDate(head: Buffer): Buffer {
  if (head.toString("latin1", 0, 5) !== "PGDMP") return head;
  const minor = head[6] ?? 0;
  const integerBytes = head[8] ?? 4;
  // From 1.15 on the compression is one byte, before it was an integer.
  let at = COMPRESSION_OFFSET + (minor >= 15 ? 1 : 1 + integerBytes);
  for (const value of DATE_FIELDS) {
    head.fill(0, at, at + 1 + integerBytes);
    head[at + 1] = value;
    at += 1 + integerBytes;
  }
  return head;
}
