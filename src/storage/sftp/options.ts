import { z } from "zod";
import { hostOption } from "../network/host-option.ts";

export const sftpOptions = z.object({
  host: hostOption.describe("Host name or address of the server.").meta({ example: "backup.example.com" }),
  port: z.int().min(1).max(65_535).default(22).describe("Port of the SSH server."),
  user: z.string().min(1).describe("Login name.").meta({ example: "backup" }),
  path: z
    .string()
    .min(1)
    .describe("Folder on the server that holds the backups. Without a leading / it starts at the login's folder.")
    .meta({ example: "/backups/site" }),
  private_key: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Private key in OpenSSH or PEM form. Without it and `password` the keys of the ssh-agent at SSH_AUTH_SOCK are tried.",
    )
    .meta({ secret: true }),
  passphrase: z.string().min(1).optional().describe("Passphrase of `private_key`.").meta({ secret: true }),
  password: z
    .string()
    .min(1)
    .optional()
    .describe("Password of the login. A key, where one is given, is tried first.")
    .meta({ secret: true }),
  host_key: z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, "must be a fingerprint like SHA256:… as `ssh-keygen -lf` prints it")
    .optional()
    .describe("Fingerprint of the server's host key, as `ssh-keygen -lf` prints it. No other key is accepted."),
  known_hosts: z
    .string()
    .min(1)
    .optional()
    .describe("File of known host keys, used without `host_key`. Default ~/.ssh/known_hosts.")
    .meta({ path: true }),
});

export type SftpOptions = z.output<typeof sftpOptions>;
