/**
 * Writes custom archives of any version, for what the installed pg_dump can't make. Only the layout is tested with these;
 * that it is PostgreSQL's is proven by the archives in test/fixtures/postgres, which a real pg_dump wrote.
 */
export interface WrittenArchive {
  readonly minor?: number;
  readonly integerBytes?: number;
  readonly offsetBytes?: number;
  readonly tables: readonly { readonly name: string; readonly chunks: readonly string[] }[];
  /** Chunks of each large object. */
  readonly largeObjects?: readonly (readonly string[])[];
}

export function writeArchive(archive: WrittenArchive): Buffer {
  const { minor = 14, integerBytes = 4, offsetBytes = 8, tables, largeObjects } = archive;
  const integer = (value: number) => {
    const bytes = Buffer.alloc(integerBytes + 1);
    bytes[0] = value < 0 ? 1 : 0;
    bytes.writeUIntLE(Math.abs(value), 1, Math.min(integerBytes, 6));
    return bytes;
  };
  const text = (value: string | undefined) =>
    value === undefined ? integer(-1) : Buffer.concat([integer(Buffer.byteLength(value)), Buffer.from(value)]);
  const chunks = (parts: readonly string[]) => Buffer.concat([...parts.map(text), integer(0)]);
  const entry = (id: number, tag: string, description: string, copy: string, dataState: number) =>
    Buffer.concat([
      ...[integer(id), integer(1), text("0"), text("0"), text(tag), text(description), integer(3)],
      ...[text(""), text(""), text(copy), text(description === "BLOBS" ? "" : "public"), text("")],
      ...(minor >= 14 ? [text("")] : []),
      ...(minor >= 16 ? [integer(0)] : []),
      ...[text("owner"), text("false"), text("1"), text(undefined)],
      ...[Buffer.from([dataState]), Buffer.alloc(offsetBytes)],
    ]);
  const toc = tables.map(({ name }, index) =>
    entry(index + 1, name, "TABLE DATA", `COPY public.${name} (a) FROM stdin;\n`, 1),
  );
  const blobId = tables.length + 1;
  if (largeObjects !== undefined) toc.push(entry(blobId, "BLOBS", "BLOBS", "", 1));
  const blocks = tables.map(({ chunks: parts }, index) =>
    Buffer.concat([Buffer.from([1]), integer(index + 1), chunks(parts)]),
  );
  if (largeObjects !== undefined) {
    const objects = largeObjects.map((parts, index) => Buffer.concat([integer(index + 1), chunks(parts)]));
    blocks.push(Buffer.concat([Buffer.from([3]), integer(blobId), ...objects, integer(0)]));
  }
  return Buffer.concat([
    Buffer.from("PGDMP"),
    Buffer.from([1, minor, 0, integerBytes, offsetBytes, 1]),
    minor >= 15 ? Buffer.from([0]) : integer(0),
    ...[0, 30, 12, 1, 0, 126, 0].map(integer),
    ...[text("db"), text("17.2"), text("17.2")],
    integer(toc.length),
    ...toc,
    ...blocks,
  ]);
}
