import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { StorageServer } from "../suites/network-suite.ts";
import { startRadosgw } from "./radosgw.ts";

const BUCKET = "places";

/** A Ceph gateway as tests see it that work over any network storage. Ask `requireOrSkip("radosgw")` first. */
export async function startS3Places(): Promise<StorageServer> {
  const server = await startRadosgw();
  const { access_key_id, secret_access_key } = server.owner;
  const client = new S3Client({
    endpoint: server.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
  });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  client.destroy();
  let places = 0;
  return {
    port: server.port,
    secrets: [secret_access_key],
    newPlace: async () => {
      places += 1;
      const prefix = `place-${places}`;
      return ({ host, port }) => ({
        type: "s3",
        bucket: BUCKET,
        prefix,
        endpoint: `http://${host}:${port}`,
        access_key_id,
        secret_access_key,
      });
    },
    kill: server.kill,
    start: server.start,
    stop: server.stop,
  };
}
