import { z } from "zod";
import { loadConfigSchema } from "./schema.ts";

/** JSON Schema of the configuration file, for editors: `# yaml-language-server: $schema=…`. */
export async function configJsonSchema(): Promise<Readonly<Record<string, unknown>>> {
  const { full } = await loadConfigSchema();
  const schema = z.toJSONSchema(full, {
    io: "input",
    target: "draft-7",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // This program's own marks mean nothing to an editor.
      for (const mark of ["secret", "concealed", "path", "secretForm", "example"]) {
        const value: unknown = Reflect.get(jsonSchema, mark);
        Reflect.deleteProperty(jsonSchema, mark);
        if (mark === "example" && value !== undefined) jsonSchema.examples = [value];
      }
    },
  });
  return { ...schema, title: "backupctl configuration" };
}
