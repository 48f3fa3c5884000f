import { build } from "rolldown";

// Each file that a start loads costs about half a millisecond, and zod alone has a hundred: docs/decisions/0010-bundled-program.md.
await build({
  // The pool starts its threads from a file that it expects beside itself, and so does the SQLite engine its inspector.
  input: {
    main: "src/main.ts",
    worker: "src/format/workers/worker.ts",
    inspector: "src/engines/sqlite/inspector.ts",
  },
  platform: "node",
  // They look for compiled parts in their own folders; ssh2, below the last one, does without.
  external: ["better-sqlite3", "fs-native-extensions", "ssh2-sftp-client"],
  // Node loads these faster than ES modules, which read every member of each of its own modules that they import.
  output: {
    // Code that is kept (src/platform/kept-code.ts) can't import; and require needs no second loader.
    dynamicImportInCjs: false,
    dir: "dist",
    cleanDir: true,
    format: "cjs",
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name]-[hash].cjs",
  },
});
