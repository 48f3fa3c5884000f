import { z } from "zod";
import { hostOption } from "../network/host-option.ts";

export const ftpOptions = z.object({
  host: hostOption
    .describe("Host name of the server, as its certificate has it.")
    .meta({ example: "backup.example.com" }),
  port: z.int().min(1).max(65_535).optional().describe("Port of the server. Default 21, with `tls: implicit` 990."),
  user: z.string().min(1).describe("Login name.").meta({ example: "backup" }),
  password: z.string().min(1).describe("Password of the login.").meta({ secret: true }),
  path: z
    .string()
    .min(1)
    .describe("Folder on the server that holds the backups. Without a leading / it starts at the login's folder.")
    .meta({ example: "/backups/site" }),
  tls: z
    .enum(["explicit", "implicit", "none"])
    .default("explicit")
    .describe(
      "`explicit` asks for TLS before the login (AUTH TLS), `implicit` speaks it from the first byte, `none` never.",
    ),
  ca_file: z
    .string()
    .min(1)
    .optional()
    .describe("PEM file of the authority that signed the server's certificate, instead of the usual ones.")
    .meta({ path: true }),
  insecure: z
    .boolean()
    .default(false)
    .describe("Allow `tls: none`, with which everybody on the way can read the password."),
  connections: z
    .int()
    .min(1)
    .max(32)
    .default(4)
    .describe("Most connections at a time; each does one thing at a time. Servers often allow few to one login."),
});

export type FtpOptions = z.output<typeof ftpOptions>;
