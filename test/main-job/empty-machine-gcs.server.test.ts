import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type FakeGcs, startFakeGcs } from "../servers/gcs/server.ts";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

let service: FakeGcs;

beforeAll(async () => {
  service = await startFakeGcs();
});
afterAll(() => service.stop());

function at(bucket: string) {
  service.addBucket(bucket);
  return { type: "gcs", bucket, endpoint: service.endpoint };
}

/** A line of the private key's middle. */
function secretsOf(credentials: string): readonly string[] {
  const key: unknown = JSON.parse(credentials).private_key;
  return [String(key).split("\n")[2] ?? credentials];
}

emptyMachineSuite({
  name: "gcs (a fake) with a service account's key in the config",
  place: async () => {
    const credentials = service.keyOf("writer");
    return { storage: { ...at("machine-config"), credentials }, secrets: secretsOf(credentials) };
  },
});

emptyMachineSuite({
  name: "gcs (a fake) with a service account's key in a file",
  place: async (folder) => {
    const credentials = service.keyOf("writer");
    const credentials_file = join(folder, "google.json");
    writeFileSync(credentials_file, credentials);
    return { storage: { ...at("machine-file"), credentials_file }, secrets: secretsOf(credentials) };
  },
});
