import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const created = z.object({
  backup_id: z.string(),
  sources: z.array(z.object({ new_bytes: z.number(), size_bytes: z.number() })),
});
const FILES = 50_000;

describe.runIf(requireOrSkip("rsync"))("the main job on a tree of 50,000 files", () => {
  const directory = suiteTempDir();
  const tree = join(directory, "tree");
  let site: CliSite;
  let full: z.infer<typeof created>;

  beforeAll(async () => {
    copySystemTree(tree);
    site = await makeCliSite(`  system: {engine: files, paths: ["{dir}/tree"]}`, directory);
    full = await site.json(created, ["create"]);
  }, 600_000);

  /** The system's own files, and made ones up to the wanted number: hard links, sparse files and odd names are among them. */
  function copySystemTree(to: string): void {
    mkdirSync(to);
    execFileSync("cp", ["-a", "/usr/share/doc", "/usr/include", "/etc", to].filter(exists));
    const count = Number(execFileSync("sh", ["-c", `find '${to}' -type f | wc -l`], { encoding: "utf8" }));
    mkdirSync(join(to, "made"));
    for (let i = count; i < FILES; i++) writeFileSync(join(to, "made", `file-${i}`), `content ${i}\n`.repeat(i % 40));
    writeFileSync(join(to, "line\nbreak"), "x");
    writeFileSync(Buffer.concat([Buffer.from(`${to}/`), Buffer.from([0xff, 0xfe])]), "not UTF-8");
    execFileSync("truncate", ["-s", "50M", join(to, "sparse")]);
    appendFileSync(join(to, "sparse"), "end");
    execFileSync("ln", [join(to, "sparse"), join(to, "sparse-again")]);
  }

  function differences(restored: string): string {
    return execFileSync(
      "rsync",
      [
        "-aHAXn",
        "--checksum",
        "--delete",
        "--itemize-changes",
        "--modify-window=-1",
        `${tree}/`,
        `${restored}${tree}/`,
      ],
      { encoding: "utf8", maxBuffer: 1024 ** 3 },
    );
  }

  async function restored(reference: string, name: string): Promise<string> {
    const to = join(directory, name);
    const result = await site.run("restore", reference, "--to", to, "--yes");
    expect(result, result.stderr).toMatchObject({ exitCode: 0 });
    return to;
  }

  it("comes back identical from the full backup", async () => {
    expect(differences(await restored(full.backup_id, "from-full"))).toBe("");
    rmSync(join(directory, "from-full"), { recursive: true });
  }, 600_000);

  it("comes back identical from an incremental after changes of every kind, which stored only those, and without this host's state", async () => {
    const made = join(tree, "made");
    writeFileSync(join(tree, "added"), "new");
    unlinkSync(join(made, `file-${FILES - 1}`));
    renameSync(join(made, `file-${FILES - 2}`), join(made, "renamed"));
    unlinkSync(join(made, `file-${FILES - 3}`));
    mkdirSync(join(made, `file-${FILES - 3}`));
    utimesSync(join(made, `file-${FILES - 4}`), 1, 1);
    appendFileSync(join(made, `file-${FILES - 5}`), "grown");
    chmodSync(join(made, `file-${FILES - 6}`), 0o600);
    symlinkSync("nowhere", join(tree, "dangling"));

    const incremental = await site.json(created, ["create", "--mode", "incremental"]);

    expect(incremental.sources[0]?.new_bytes).toBeLessThan(2_000_000);
    rmSync(join(directory, "state"), { recursive: true });
    expect(differences(await restored(incremental.backup_id, "from-storage"))).toBe("");
  }, 600_000);
});

function exists(path: string): boolean {
  try {
    execFileSync("test", ["-e", path]);
    return true;
  } catch {
    return !path.startsWith("/");
  }
}
