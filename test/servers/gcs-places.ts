import { randomUUID } from "node:crypto";
import type { StorageServer } from "../suites/network-suite.ts";
import { startFakeGcs } from "./gcs/server.ts";
import { TOKENS_BEGIN } from "./gcs/tokens.ts";

/** The fake of Google Cloud Storage as tests see it that work over any network storage. */
export async function startGcsPlaces(): Promise<StorageServer> {
  const service = await startFakeGcs();
  const credentials = service.keyOf("writer");
  return {
    port: Number(new URL(service.endpoint).port),
    secrets: [credentials, JSON.parse(credentials).private_key, TOKENS_BEGIN],
    newPlace: async () => {
      const bucket = `b-${randomUUID()}`;
      service.addBucket(bucket);
      return ({ host, port }) => ({ type: "gcs", bucket, credentials, endpoint: `http://${host}:${port}` });
    },
    kill: () => service.stop(),
    start: () => service.start(),
    stop: () => service.stop(),
  };
}
