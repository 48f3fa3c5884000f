import { describe, expect, it } from "vitest";
import { type SelectableSource, type SelectionRequest, selectSources } from "../../src/domain/selection.ts";

const configured: readonly SelectableSource[] = [
  { name: "app", engine: "postgres", component: "database" },
  { name: "shop", engine: "sqlite", component: "database" },
  { name: "uploads", engine: "files", component: "files", category: "media" },
  { name: "invoices", engine: "files", component: "files", category: "invoices" },
  { name: "etc", engine: "files", component: "configuration" },
  { name: "users", engine: "command", component: "user_data" },
];

function select(overrides: Partial<SelectionRequest<SelectableSource>>) {
  const selection = selectSources({
    configured,
    components: [],
    sources: [],
    categories: [],
    tables: [],
    takesTables: ({ engine }) => engine === "postgres",
    ...overrides,
  });
  return { ...selection, sources: selection.sources.map((source) => source.name).join(" ") };
}

const ALL = "app shop uploads invoices etc users";

it.each<[Partial<SelectionRequest<SelectableSource>>, ReturnType<typeof select>]>([
  [{}, { sources: ALL, type: "full", mode: "full" }],
  [
    { type: "full", mode: "incremental" },
    { sources: ALL, type: "full", mode: "incremental" },
  ],
  [{ type: "incremental" }, { sources: ALL, type: "full", mode: "incremental" }],
  [
    { type: "differential", mode: "differential" },
    { sources: ALL, type: "full", mode: "differential" },
  ],
  [{ type: "database" }, { sources: "app shop", type: "database", mode: "full" }],
  [{ type: "user_data" }, { sources: "users", type: "user_data", mode: "full" }],
  [{ type: "configurations" }, { sources: "etc", type: "configuration", mode: "full" }],
  [{ components: ["database"] }, { sources: "app shop", type: "database", mode: "full" }],
  [{ components: ["configurations", "user_data"] }, { sources: "etc users", type: "full", mode: "full" }],
  [{ components: ["database", "files", "configuration", "user_data"] }, { sources: ALL, type: "full", mode: "full" }],
  [{ sources: ["app"] }, { sources: "app", type: "database", mode: "full" }],
  [
    { type: "database", sources: ["shop"] },
    { sources: "shop", type: "database", mode: "full" },
  ],
  [{ sources: ["app", "uploads"] }, { sources: "app uploads", type: "full", mode: "full" }],
  [{ categories: ["media"] }, { sources: "uploads", type: "files", mode: "full" }],
  [
    { type: "files", categories: ["media", "invoices"] },
    { sources: "uploads invoices", type: "files", mode: "full" },
  ],
  [{ tables: ["orders"] }, { sources: "app", type: "database", mode: "full" }],
  [
    { sources: ["app", "uploads"], tables: ["orders"] },
    { sources: "app", type: "database", mode: "full" },
  ],
])("%j selects", (request, expected) => {
  expect(select(request)).toEqual(expected);
});

describe("what does not exist is refused", () => {
  it.each<[Partial<SelectionRequest<SelectableSource>>, string, string]>([
    [{ type: "everything" }, "INVALID_BACKUP_TYPE", '"everything" is not a backup type'],
    [{ type: "transaction" }, "INVALID_BACKUP_TYPE", "transaction backups do not exist yet"],
    [{ mode: "transaction" }, "INVALID_BACKUP_TYPE", "transaction backups do not exist yet"],
    [{ mode: "fast" }, "INVALID_BACKUP_TYPE", '"fast" is not a backup mode'],
    [{ type: "incremental", mode: "full" }, "INVALID_BACKUP_TYPE", "contradict each other"],
    [{ components: ["databse"] }, "COMPONENT_NOT_FOUND", 'no source belongs to component "databse"'],
    [{ components: ["full"] }, "COMPONENT_NOT_FOUND", 'no source belongs to component "full"'],
    [
      { type: "database", components: ["files"] },
      "COMPONENT_NOT_FOUND",
      'component "files" is not part of --type database',
    ],
    [{ sources: ["nothing"] }, "SOURCE_NOT_FOUND", 'no source is named "nothing"'],
    [{ type: "files", sources: ["app"] }, "SOURCE_NOT_FOUND", 'source "app" is left out by --type or --component'],
    [{ categories: ["videos"] }, "COMPONENT_NOT_FOUND", 'no selected file source has the category "videos"'],
    [{ type: "database", categories: ["media"] }, "COMPONENT_NOT_FOUND", "no selected file source"],
    [{ sources: ["shop"], tables: ["orders"] }, "COMPONENT_NOT_FOUND", "--table fits no selected source"],
    [{ type: "files", tables: ["orders"] }, "COMPONENT_NOT_FOUND", "--table fits no selected source"],
  ])("%j with %s", (request, code, message) => {
    expect(() => select(request)).toThrow(
      expect.objectContaining({
        code,
        exitCode: 2,
        message: expect.stringContaining(message),
        hint: expect.any(String),
      }),
    );
  });

  it("also a built-in component without sources", () => {
    const onlyFiles = configured.filter((source) => source.component === "files");

    expect(() => select({ configured: onlyFiles, type: "database" })).toThrow(
      expect.objectContaining({ code: "COMPONENT_NOT_FOUND", hint: expect.stringContaining("files") }),
    );
  });

  it("also a config without sources", () => {
    expect(() => select({ configured: [] })).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
