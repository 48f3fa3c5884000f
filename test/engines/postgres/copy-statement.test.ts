import { describe, expect, it } from "vitest";
import { columnsOf } from "../../../src/engines/postgres/copy-statement.ts";

describe("the columns of a COPY statement", () => {
  it.each([
    ["COPY public.t (a, b) FROM stdin;\n", ["a", "b"]],
    ["COPY public.t  FROM stdin;\n", []],
    ['COPY "S, (x)".t ("a, b", "c ""d"" (e)", "ü") FROM stdin;\n', ["a, b", 'c "d" (e)', "ü"]],
    ['COPY public."t(x)" FROM stdin;\n', []],
  ])("are read from %j", (statement, columns) => {
    expect(columnsOf(statement)).toEqual(columns);
  });
});
