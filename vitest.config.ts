import { defineConfig } from "vitest/config";

const MINIMUM_NODE = [22, 15] as const;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
  throw new Error(
    `the tests need Node ${MINIMUM_NODE.join(".")} or newer, this is ${process.versions.node}. ` +
      "Run them with npm test or npx vitest, which use the Node that npm ci installed.",
  );
}

// Each of the many threads that tests start would strip the types of the same files again.
process.env.NODE_COMPILE_CACHE ??= "node_modules/.cache/node";

// Each run fuzzes with other inputs, damages other bytes and kills at other moments; its report says which.
for (const name of ["BACKUPCTL_FUZZ_SEED", "BACKUPCTL_SEED"])
  process.env[name] ??= String(Math.floor(Math.random() * 2 ** 31));

const serverTests = "test/**/*.server.test.ts";
const notOurs = "**/node_modules/**";

export default defineConfig({
  test: {
    pool: "forks",
    // One less is vitest's own choice, which on two cores is one file at a time; here most of the work is in other processes.
    maxWorkers: "100%",
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ["default", "./test/reporters/skips.ts"],
    // Not coverage.autoAttachSubprocess: it mixes what a module ran here, transformed, with what it ran in a thread, as it is written.
    setupFiles: process.argv.includes("--coverage") ? ["./test/helpers/measure-threads.ts"] : [],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "json"],
    },
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: [serverTests, notOurs] } },
      { extends: true, test: { name: "server", include: [serverTests], exclude: [notOurs] } },
    ],
  },
});
