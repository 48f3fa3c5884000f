import type { GcsOptions } from "./options.ts";

const GOOGLE = "https://storage.googleapis.com";

/** Where the service is, without a slash at the end. */
export function endpointOf({ endpoint = GOOGLE }: GcsOptions): string {
  const { origin, pathname } = new URL(endpoint);
  return `${origin}${pathname.replace(/\/+$/, "")}`;
}

/** `gcs:BUCKET/PREFIX` at Google, where a bucket's name is one in the world; else with the endpoint's host before it. */
export function gcsAddress(options: GcsOptions): string {
  const { host, hostname, pathname } = new URL(endpointOf(options));
  const isGoogle = /(^|\.)googleapis\.com$/.test(hostname);
  const parts = [isGoogle ? "" : `${host}${pathname.replace(/\/$/, "")}`, options.bucket, folderOf(options)];
  return `gcs:${parts.filter((part) => part !== "").join("/")}`;
}

/** The folder of all objects, without a slash at its end; `""` is the bucket itself. */
export function folderOf({ prefix = "" }: GcsOptions): string {
  return prefix.replace(/\/$/, "");
}
