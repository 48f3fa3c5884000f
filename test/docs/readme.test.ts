import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { run, words } from "../cli/harness.ts";
import { runCli } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { backupctlCommands, codeBlocks, sectionOf } from "./commands.ts";

const ROOT = join(import.meta.dirname, "../..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const DOCUMENTS = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.md"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(ROOT, file)));

interface SmallSite {
  readonly directory: string;
  /** A line of the README with its absolute paths moved below the directory. */
  moved(text: string): string;
}

function makeSmallSite(): SmallSite {
  const directory = tempDir();
  for (const folder of ["srv/site/data", "srv/site/uploads", "srv/site/config", "mnt/backup"]) {
    mkdirSync(join(directory, folder), { recursive: true });
  }
  const database = new DatabaseSync(join(directory, "srv/site/data/app.db"));
  database.exec(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders VALUES (1, 'tea'), (2, 'milk')",
  );
  database.close();
  writeFileSync(join(directory, "srv/site/uploads/logo.png"), "a logo");
  writeFileSync(join(directory, "srv/site/uploads/half.tmp"), "left out");
  writeFileSync(join(directory, "srv/site/config/site.ini"), "language = en\n");
  return { directory, moved: (text) => text.replaceAll(/(?<=^|[ [])\/(?=srv|mnt|tmp)/gm, `${directory}/`) };
}

test("the sixty seconds run as they are written", async () => {
  const { directory, moved } = makeSmallSite();
  const section = sectionOf(README, "Sixty seconds");
  const config = join(directory, "backup.config.yaml");
  const logo = join(directory, "srv/site/uploads/logo.png");

  for (const { language, text } of codeBlocks(section)) {
    if (language === "yaml") {
      const template = readFileSync(config, "utf8");
      writeFileSync(config, template.replace(/^sources:\n/m, moved(text)));
      continue;
    }
    for (const line of backupctlCommands(`\`\`\`sh\n${text}\`\`\``)) {
      if (line.includes("--include")) rmSync(logo);
      const result = await runCli(words(moved(line)).slice(1), {
        home: directory,
        env: { BACKUPCTL_STATE_DIR: join(directory, "state") },
      });
      expect(result.exitCode === 0 ? "done" : `${line}\n${result.stdout}${result.stderr}`).toBe("done");
    }
  }

  expect(readFileSync(logo, "utf8")).toBe("a logo");
  const restored = new DatabaseSync(join(directory, "tmp/look/app/app.db"), { readOnly: true });
  expect(restored.prepare("SELECT what FROM orders ORDER BY id").all()).toEqual([{ what: "tea" }, { what: "milk" }]);
  restored.close();
  const uploads = join(directory, "tmp/look/uploads", directory, "srv/site/uploads");
  expect(readFileSync(join(uploads, "logo.png"), "utf8")).toBe("a logo");
  expect(existsSync(join(uploads, "half.tmp"))).toBe(false);
});

test("the two commands of the README are scripts of package.json", () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const scripts = README.match(/^npm ci && npm run \S+$/gm)?.map((line) => line.split(" ").at(-1));

  expect(scripts).toEqual(["quickstart", "test:all"]);
  expect(manifest).toMatchObject({ scripts: { quickstart: "scripts/quickstart.sh", "test:all": expect.any(String) } });
});

const commands = DOCUMENTS.flatMap((file) =>
  backupctlCommands(readFileSync(join(ROOT, file), "utf8")).map((line) => ({ file, line })),
);

test("the documents show commands", () => {
  expect(commands.length).toBeGreaterThan(20);
});

test.each(commands)("$file: $line is a line that the program takes", async ({ line }) => {
  const args = words(
    line
      .replace(/ [|>].*$/, "")
      .replaceAll(/\b(ID|BACKUP)\b/g, "550e8400")
      .replace(/\bSHELL\b/, "bash")
      .replace(/\bCOMMAND\b/, "create")
      .replaceAll(/\[[^\]]*\]|…/g, ""),
  ).slice(1);

  const result = await run(args.includes("--help") ? args : [...args, ...consent(args)]);

  // Where a document only names a command, what it needs is left out.
  expect(result.stderr.replace(/^.*\bUSAGE\b\W+(message\W+)?\w+ needs .*/m, "")).not.toMatch(
    /USAGE|does not exist yet/,
  );
});

/** What a document leaves out because a person is there to answer. */
function consent([command]: readonly string[]): readonly string[] {
  return command === "delete" || command === "restore" ? ["--yes"] : [];
}

test("every link of the documents leads to a file", () => {
  const broken = DOCUMENTS.flatMap((file) => {
    const text = readFileSync(join(ROOT, file), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
    return [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, dirname(file), target)))
      .map((target) => `${file}: ${target}`);
  });

  expect(broken).toEqual([]);
});

test("the sources of the README are a configuration's", () => {
  const [block] = codeBlocks(sectionOf(README, "Sixty seconds")).filter(({ language }) => language === "yaml");

  expect(Object.keys(parse(block?.text ?? ""))).toEqual(["sources"]);
});
