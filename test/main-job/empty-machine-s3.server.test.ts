import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe } from "vitest";
import { type Radosgw, startRadosgw } from "../servers/radosgw.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

describe.runIf(requireOrSkip("radosgw"))("s3", () => {
  let server: Radosgw;

  beforeAll(async () => {
    server = await startRadosgw();
    const { access_key_id: accessKeyId, secret_access_key: secretAccessKey } = server.owner;
    const client = new S3Client({
      endpoint: server.endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    await client.send(new CreateBucketCommand({ Bucket: "machines" }));
    client.destroy();
  });
  afterAll(() => server.stop());

  const at = (prefix: string) => ({ type: "s3", bucket: "machines", prefix, endpoint: server.endpoint });

  emptyMachineSuite({
    name: "s3 with keys in the config",
    place: async () => ({ storage: { ...at("config"), ...server.owner }, secrets: [server.owner.secret_access_key] }),
  });

  emptyMachineSuite({
    name: "s3 with keys in files",
    place: async (folder) => {
      const files = { access_key_id_file: join(folder, "id"), secret_access_key_file: join(folder, "secret") };
      writeFileSync(files.access_key_id_file, `${server.owner.access_key_id}\n`);
      writeFileSync(files.secret_access_key_file, `${server.owner.secret_access_key}\n`);
      return { storage: { ...at("files"), ...files }, secrets: [server.owner.secret_access_key] };
    },
  });

  emptyMachineSuite({
    name: "s3 with keys in the environment, over TLS",
    place: async () => {
      const { access_key_id: AWS_ACCESS_KEY_ID, secret_access_key: AWS_SECRET_ACCESS_KEY } = server.owner;
      return {
        storage: { ...at("environment"), endpoint: server.tlsEndpoint, ca_file: server.caFile },
        env: { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY },
        secrets: [AWS_SECRET_ACCESS_KEY],
      };
    },
  });
});
