import { promises as fs } from "node:fs";
import { BackupctlError, type ErrorCode, isBackupctlError } from "../errors.ts";
import { errnoOf } from "../platform/files.ts";
import { runTool } from "../platform/process.ts";

/** Where a secret is looked for, and how its failure is reported. Messages name the option and the place, never the value. */
interface SecretContext {
  /** The option's dotted path in the config. */
  readonly option: string;
  readonly code: ErrorCode;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal | undefined;
}

const COMMAND_TIMEOUT_MS = 60_000;
const READABLE_BY_OTHERS = 0o004;

/** The file's text without one trailing newline. */
export async function readSecretFile(file: string, context: SecretContext): Promise<string> {
  try {
    const stats = await fs.stat(file);
    if ((stats.mode & READABLE_BY_OTHERS) !== 0) {
      context.warn(`${file} (${context.option}) can be read by every user of this host; run \`chmod 600 ${file}\``);
    }
    // A pipe may never be written to, and no signal would end its reading in this process.
    const text = stats.isFIFO() ? await outputOf("cat", ["--", file], context) : await fs.readFile(file, "utf8");
    return withoutNewline(text, file, context);
  } catch (error) {
    if (isBackupctlError(error)) throw error;
    throw new BackupctlError(context.code, `${context.option}: ${file} ${fileFailure(error)}`, {
      hint: `Put the secret into ${file} (mode 0600), or correct ${context.option}.`,
      cause: error,
    });
  }
}

function fileFailure(error: unknown): string {
  switch (errnoOf(error)) {
    case "ENOENT":
      return "does not exist";
    case "EACCES":
      return "can't be read by this user";
    case "EISDIR":
      return "is a directory";
    default:
      return "can't be read";
  }
}

/** What the program prints, without one trailing newline. */
export async function runSecretCommand(command: string | readonly string[], context: SecretContext): Promise<string> {
  const [program, ...args] = typeof command === "string" ? command.split(" ").filter((part) => part !== "") : command;
  if (program === undefined) throw new BackupctlError("CONFIG_INVALID", `${context.option} is empty`);
  return withoutNewline(await outputOf(program, args, context), program, context);
}

async function outputOf(command: string, args: readonly string[], context: SecretContext): Promise<string> {
  const { env, directory: cwd, signal } = context;
  const limits = { timeoutMs: COMMAND_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
  try {
    const { stdout } = await runTool({ command, args, env: defined(env), cwd, ...limits });
    return stdout.toString("utf8");
  } catch (error) {
    if (!isBackupctlError(error, "TOOL_FAILED") && !isBackupctlError(error, "TOOL_MISSING")) throw error;
    throw new BackupctlError(context.code, `${context.option}: ${error.message}`, {
      hint: "Run the command by hand as the same user and see that it prints the secret and nothing else.",
      cause: error,
    });
  }
}

function withoutNewline(text: string, from: string, context: SecretContext): string {
  const secret = text.replace(/\r?\n$/, "");
  if (secret !== "") return secret;
  throw new BackupctlError(context.code, `${context.option}: ${from} gave nothing`, {
    hint: "An empty secret is never right; see what should be there.",
  });
}

function defined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** The strings that must not appear anywhere: the secret, and what in it is secret by itself. */
export function redactable(secret: string): readonly string[] {
  const found = [secret, ...secretParts(secret)];
  if (URL.canParse(secret)) {
    const { password } = new URL(secret);
    if (password !== "") found.push(password, safelyDecoded(password));
  }
  return found.filter((text) => text.length > 0);
}

/** The keys in a connection string (`AccountKey=…;`), the signature of a SAS (`&sig=…`), and the secrets in a key file of JSON. */
function secretParts(secret: string): string[] {
  const assigned = [...secret.matchAll(/(?:^|[;&?])[^;&=]*(?:key|sig|password|secret)=([^;&\s]+)/gi)];
  const members = [...secret.matchAll(/"(?:private_key|client_secret|refresh_token)"\s*:\s*"([^"]*)"/g)];
  return [
    ...assigned.flatMap(([, value = ""]) => [value, safelyDecoded(value)]),
    ...members.map(([, value = ""]) => value.replaceAll("\\n", "\n")),
  ];
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
