import { z } from "zod";

export const passphraseOptions = z.object({
  passphrase: z
    .string()
    .describe("A long passphrase; whoever knows it can read every backup sealed with it.")
    .meta({ secret: true }),
});
