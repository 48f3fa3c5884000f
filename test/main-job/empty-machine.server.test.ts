import { join } from "node:path";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

emptyMachineSuite({
  name: "local",
  place: async (folder) => ({ storage: { type: "local", path: join(folder, "disk") }, secrets: [] }),
});
