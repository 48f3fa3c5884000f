import { z } from "zod";

/** A server by its name or address; everything else about it has an option of its own. */
export const hostOption = z
  .string()
  .min(1)
  .regex(/^[^\s/@[\]]*$/, {
    error: "must be a name or an address alone: no brackets around IPv6, no user, no protocol before it",
  });
