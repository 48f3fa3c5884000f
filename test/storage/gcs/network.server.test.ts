import { randomUUID } from "node:crypto";
import { startFakeGcs } from "../../servers/gcs/server.ts";
import { networkSuite } from "../../suites/network-suite.ts";

networkSuite({
  name: "gcs",
  start: async () => {
    const service = await startFakeGcs();
    const credentials = service.keyOf("writer");
    return {
      port: Number(new URL(service.endpoint).port),
      secrets: [credentials, JSON.parse(credentials).private_key],
      newPlace: async () => {
        const bucket = `b-${randomUUID()}`;
        service.addBucket(bucket);
        return ({ host, port }) => ({ type: "gcs", bucket, credentials, endpoint: `http://${host}:${port}` });
      },
      kill: () => service.stop(),
      start: () => service.start(),
      stop: () => service.stop(),
    };
  },
});
