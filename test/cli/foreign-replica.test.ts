import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeCliSite } from "../helpers/cli-site.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const LOGINS = {
  s3: "bucket: backups, access_key_id: an-id, secret_access_key: a-secret",
  azure: "account: example, account_key: c2VjcmV0, container: backups",
};

/** An SSH server at the port that the config has for another service. */
async function sshBanner(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.write("SSH-2.0-OpenSSH_9.6\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each(["s3", "azure"] as const)(
  "a replica (%s) where no web service answers does not end a backup",
  async (type) => {
    const directory = tempDir();
    writeFileSync(join(directory, "page.html"), "a page");
    const site = await makeCliSite("  www: {engine: files, paths: [{dir}/page.html]}", directory);
    const replica = `  rep: {type: ${type}, role: replica, endpoint: "${await sshBanner()}", ${LOGINS[type]}, retry_for: 0s}\n`;
    writeFileSync(
      site.configFile,
      readFileSync(site.configFile, "utf8").replace("encryption:", `${replica}encryption:`),
    );

    const created = await site.run("create", "--json");

    expect(created, created.stderr).toMatchObject({ exitCode: 3 });
    expect(created.json()).toMatchObject({ status: "completed" });
    expect(created.stderr).toContain("what answers there is not");
    expect(created.stderr).not.toContain("bug");
    expect(await site.run("verify", "latest")).toMatchObject({ exitCode: 0 });
    const listed = await site.run("storage", "list");
    expect(listed.stdout + listed.stderr).toContain("what answers there is not");
    expect(listed.stderr).not.toContain("bug");
  },
  60_000,
);
