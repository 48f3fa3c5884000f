import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCli } from "../../helpers/run-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

test("without a login the error is all that is told, also where something odd answers for the metadata server", async () => {
  const server = createServer((_, response) => void response.writeHead(400).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const directory = tempDir();
  const config = {
    state_dir: join(directory, "state"),
    storages: { cloud: { type: "gcs", bucket: "example-backups", retry_for: "0s" } },
    encryption: { keys: { main: { provider: "local", key: "5".repeat(64) } } },
    sources: { www: { engine: "files", paths: [directory] } },
  };
  writeFileSync(join(directory, "backup.config.yaml"), JSON.stringify(config));

  const { exitCode, stderr } = await runCli(["create", "--json"], {
    home: directory,
    cwd: directory,
    env: { GCE_METADATA_HOST: `127.0.0.1:${(server.address() as AddressInfo).port}` },
  });

  expect(exitCode, stderr).toBe(1);
  expect(stderr).not.toContain("MetadataLookupWarning");
  expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ error: { code: "STORAGE_DENIED" } });
});
