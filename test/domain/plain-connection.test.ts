import { describe, expect, test } from "vitest";
import { plainConnectionProblems } from "../../src/domain/plain-connection.ts";

describe("a connection without TLS", () => {
  test.each([
    "http://example.org/",
    "http://localhost.example.org/",
    "http://127.0.0.1.example.org/",
    "http://128.0.0.1/",
    "http://[::2]/",
  ])("to another host is refused: %s", (url) => {
    expect(plainConnectionProblems("endpoint", url, false)).toEqual([
      { path: ["endpoint"], message: expect.stringContaining("insecure: true") },
    ]);
    expect(plainConnectionProblems("endpoint", url, true)).toEqual([]);
  });

  test.each([
    "https://example.org/",
    "http://localhost:9000/",
    "http://LocalHost/",
    "http://s3.localhost/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://[0:0:0:0:0:0:0:1]:80/",
    undefined,
  ])("is fine where there is TLS, nobody between, or no address: %s", (url) => {
    expect(plainConnectionProblems("endpoint", url, false)).toEqual([]);
  });
});
