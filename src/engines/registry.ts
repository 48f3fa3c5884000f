import type { EngineDefinition } from "./engine.ts";

/**
 * Every engine, one entry each. Folders are imported when a source of theirs is opened or their options are checked, never
 * at start. `open` takes the options as the config has them, secrets resolved, and parses them with the engine's own schema.
 */
export const engineDefinitions: Readonly<Record<string, EngineDefinition>> = {
  files: {
    engine: "files",
    component: "files",
    options: async () => (await import("./files/options.ts")).options,
    open: async (options, tools) => {
      const [schema, engine] = await Promise.all([import("./files/options.ts"), import("./files/engine.ts")]);
      return engine.openEngine(schema.options.parse(options), tools);
    },
  },
  sqlite: {
    engine: "sqlite",
    component: "database",
    unconfigured: { path: "/" },
    options: async () => (await import("./sqlite/options.ts")).options,
    open: async (options) => {
      const [schema, engine] = await Promise.all([import("./sqlite/options.ts"), import("./sqlite/engine.ts")]);
      return engine.openEngine(schema.options.parse(options));
    },
  },
  postgres: {
    engine: "postgres",
    component: "database",
    toMeans: "name",
    takesTables: true,
    tools: ["pg_dump", "pg_dumpall", "pg_restore"],
    unconfigured: {},
    options: async () => (await import("./postgres/options.ts")).options,
    open: async (options, tools) => {
      const [schema, engine] = await Promise.all([import("./postgres/options.ts"), import("./postgres/engine.ts")]);
      return engine.openEngine(schema.options.parse(options), tools);
    },
  },
  command: {
    engine: "command",
    component: "configuration",
    unconfigured: { command: ["false"] },
    options: async () => (await import("./command/options.ts")).options,
    open: async (options, tools) => {
      const [schema, engine] = await Promise.all([import("./command/options.ts"), import("./command/engine.ts")]);
      return engine.openEngine(schema.options.parse(options), tools);
    },
  },
  environment: {
    engine: "environment",
    component: "configuration",
    unconfigured: { variables: ["*"] },
    options: async () => (await import("./environment/options.ts")).options,
    open: async (options) => {
      const [schema, engine] = await Promise.all([
        import("./environment/options.ts"),
        import("./environment/engine.ts"),
      ]);
      return engine.openEngine(schema.options.parse(options));
    },
  },
};
