import type { Agent } from "node:http";
import { setLogLevel } from "@azure/logger";
import {
  AnonymousCredential,
  ContainerClient,
  newPipeline,
  type StoragePipelineOptions,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import type { Connections } from "../network/connections.ts";
import type { AzurePlace } from "./place.ts";

/** A client that makes each call once, over these connections: who tries again, and when, is decided above. */
export async function createClient(
  container: string,
  place: AzurePlace,
  connections: Connections,
): Promise<ContainerClient> {
  const url = `${place.endpoint}/${container}${place.sas === undefined ? "" : `?${place.sas}`}`;
  const agent = connections.agentFor(new URL(url).protocol);
  // The type lacks the agent, which the pipeline takes and gives to every request.
  const options: StoragePipelineOptions & { readonly agent: Agent } = { agent, retryOptions: { maxTries: 1 } };
  const credential = await credentialOf(place, connections);
  // With DEBUG or AZURE_LOG_LEVEL in the environment the SDK prints whole requests, each byte of what is put included.
  setLogLevel();
  return new ContainerClient(url, newPipeline(credential, options));
}

async function credentialOf({ account, accountKey, sas }: AzurePlace, connections: Connections) {
  if (accountKey !== undefined) return new StorageSharedKeyCredential(account, accountKey);
  if (sas !== undefined) return new AnonymousCredential();
  // 50 MB that only this login needs.
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential({ agent: connections.agentFor("https:"), retryOptions: { maxRetries: 0 } });
}
