/** Writes the generated part of docs/cli.md: `node scripts/generate-cli-docs.ts`. A test says when it is due. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withGeneratedParts } from "./cli-docs.ts";

const file = join(import.meta.dirname, "../docs/cli.md");
writeFileSync(file, withGeneratedParts(readFileSync(file, "utf8")));
