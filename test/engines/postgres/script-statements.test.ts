import { expect, it } from "vitest";
import { statementsOf } from "../../../src/engines/postgres/script-statements.ts";

it("splits a script of pg_dumpall into statements, whatever is quoted in them", () => {
  const script = [
    "--",
    "-- PostgreSQL database cluster dump; with a semicolon",
    "\\restrict abc",
    "SET standard_conforming_strings = on;",
    'CREATE ROLE "odd; role--x";',
    "ALTER ROLE e WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c==';",
    "COMMENT ON ROLE e IS E'back\\\\slash \\'; -- no comment';",
    "GRANT a TO b -- trailing",
    "  GRANTED BY c;",
    "\\unrestrict abc",
  ].join("\n");

  expect(statementsOf(script)).toEqual([
    "SET standard_conforming_strings = on",
    'CREATE ROLE "odd; role--x"',
    "ALTER ROLE e WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c=='",
    "COMMENT ON ROLE e IS E'back\\\\slash \\'; -- no comment'",
    "GRANT a TO b \n  GRANTED BY c",
  ]);
});
