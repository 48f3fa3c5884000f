import { z } from "zod";

export const localKeyOptions = z.object({
  key: z
    .string()
    .describe("32 random bytes as 64 hex characters or as base64, e.g. from `openssl rand -hex 32`.")
    .meta({ secret: true }),
});
