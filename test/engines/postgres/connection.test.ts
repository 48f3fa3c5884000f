import { describe, expect, it } from "vitest";
import { connectionOf, databaseArgument, withoutUrl } from "../../../src/engines/postgres/connection.ts";
import { options } from "../../../src/engines/postgres/options.ts";

const resolved = (given: object) => withoutUrl(options.parse(given));

describe("the options of a postgres source", () => {
  it("take a url apart, with every part decoded", () => {
    expect(
      resolved({ url: "postgres://us%40er:p%2Fw%3Ard@db.example.org:6432/my%20app?sslmode=require" }),
    ).toMatchObject({
      host: "db.example.org",
      port: 6432,
      user: "us@er",
      password: "p/w:rd",
      database: "my app",
      sslmode: "require",
    });
  });

  it("prefer what is given singly to the url", () => {
    const given = resolved({ url: "postgres://u:p@h/app", host: "other", databases: "all" });

    expect(given).toMatchObject({ host: "other", user: "u", databases: "all" });
    expect(given.database).toBeUndefined();
  });

  it("understand the folder of a socket, and IPv6", () => {
    expect(resolved({ url: "postgresql:///app?host=/run/postgresql" })).toMatchObject({
      host: "/run/postgresql",
      database: "app",
    });
    expect(resolved({ url: "postgresql://[::1]:5433/app" })).toMatchObject({ host: "::1", port: 5433 });
  });

  it("never repeat a url that can't be read, because it holds a password", () => {
    const bad = () => resolved({ url: "postgres://u:hidden word@h:port/x" });

    expect(bad).toThrow(/can't be read/);
    expect(bad).not.toThrow(/hidden/);
  });

  it("refuse database and databases together", () => {
    expect(options.safeParse({ database: "a", databases: ["b"] }).success).toBe(false);
  });

  it("have defaults for host and port", () => {
    expect(connectionOf(resolved({ user: "u" }))).toEqual({
      host: "localhost",
      port: 5432,
      user: "u",
      sslmode: "prefer",
    });
  });
});

it("quotes a database's name, which may look like a connection string", () => {
  expect(databaseArgument("host=evil it's \\")).toBe("--dbname=dbname='host=evil it\\'s \\\\'");
});
