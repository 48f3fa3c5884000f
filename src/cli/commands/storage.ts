import { defineCommand, onlyOperand } from "../command.ts";
import { storageCheckJson, storageListJson } from "../render/json-storage.ts";
import { probeLine, renderStorageCheck, storageProblems, storageTable } from "../render/storage.ts";

export const storageList = defineCommand({
  name: "storage list",
  group: "Upkeep",
  summary: "what lies in each storage, and the space left",
  description: [
    "Backups and bytes are what the catalog knows to lie there; free space is what the storage says now. A storage that does not answer, or holds no repository, is listed with the reason. What really lies in one, objects of no backup included, `storage check` counts.",
  ],
  options: {},
  examples: [
    { command: "backupctl storage list", text: "Where the backups are" },
    { command: "backupctl storage list --json", text: "With bytes by type, for a script" },
  ],
  exitCodes: { 3: "a storage could not be opened, or holds no repository of these backups" },
  run: async ({ operations, output, look, noteLook, json }) => {
    const storages = await (await operations("rescue")).listStorages();
    if (json) output.printJson(storageListJson(storages));
    else {
      output.print(await storageTable(look, storages));
      for (const problem of storageProblems(noteLook, storages)) output.warn(problem);
    }
    return storages.some(({ problem }) => problem !== undefined) ? 3 : 0;
  },
});

export const storageCheck = defineCommand({
  name: "storage check",
  group: "Set-up",
  summary: "try a storage with real requests",
  description: [
    "Writes, reads, lists, overwrites (which must be refused) and deletes objects of its own in the folder storage-check, measures latency and throughput, compares clocks, looks whether the place is of the repository that this host's backups are of, asks what only that type of storage can be asked, and counts what lies there. It says what works, what does not, and the settings to use. Up to 64 MiB go each way.",
  ],
  argument: { placeholder: "NAME", description: "the storage's name in the config", required: true },
  options: {},
  examples: [
    { command: "backupctl storage check offsite", text: "Before the first backup goes there" },
    { command: "backupctl storage check offsite --json", text: "For a monitor" },
  ],
  exitCodes: { 0: "all that a backup needs works", 4: "something does not" },
  run: async ({ operations, output, look, json }, _values, operands) => {
    const checking = await operations("rescue");
    const name = onlyOperand(operands);
    if (json) {
      const check = await checking.checkStorage({ name });
      output.printJson(storageCheckJson(check));
      return check.passed ? 0 : 4;
    }
    // A line each as it is known: on a slow line the whole takes minutes.
    const check = await checking.checkStorage({ name, onResult: (result) => output.print(probeLine(look, result)) });
    output.print(renderStorageCheck(look, check));
    return check.passed ? 0 : 4;
  },
});
