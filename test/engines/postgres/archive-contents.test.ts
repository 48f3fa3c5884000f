import { describe, expect, it } from "vitest";
import { entriesOf } from "../../../src/engines/postgres/archive-contents.ts";
import { createArchiveReader } from "../../../src/engines/postgres/custom-archive.ts";
import { writeArchive } from "./archive-writer.ts";

describe("the entries of a database", () => {
  it("lie at their place in the whole stream and tell schema, table, rows and columns", () => {
    const bytes = writeArchive({ tables: [{ name: "t", chunks: ["1\n", "\\.\n\n\n"] }], largeObjects: [["x"]] });
    const reader = createArchiveReader();
    reader.push(bytes);

    const [whole, table, large] = entriesOf("db", reader.end(), 1_000);

    expect(whole).toMatchObject({
      name: "db",
      type: "database",
      offset: 1_000,
      size: bytes.length,
      archive_version: "1.14",
    });
    expect(table).toMatchObject({
      name: "db/public.t",
      type: "table",
      rows: 1,
      schema: "public",
      table: "t",
      columns: ["a"],
    });
    expect(bytes.subarray((table?.offset ?? 0) - 1_000).subarray(0, 7)).toEqual(
      Buffer.from("\0\x02\0\0\x001\n", "latin1"),
    );
    expect(large).toMatchObject({ name: "db/large objects", type: "large_objects", rows: 1 });
  });
});
