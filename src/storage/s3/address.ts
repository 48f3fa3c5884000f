import type { S3Options } from "./options.ts";

/** `s3:BUCKET/PREFIX` at Amazon, where a bucket's name is one in the world; else with the endpoint's host before it. */
export function s3Address(options: S3Options): string {
  const parts = [isAmazon(options) ? "" : hostAndPath(options.endpoint), options.bucket, folderOf(options)];
  return `s3:${parts.filter((part) => part !== "").join("/")}`;
}

export function isAmazon({ endpoint }: S3Options): boolean {
  return endpoint === undefined || /(^|\.)amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

/** The folder of all objects, without a slash at its end; `""` is the bucket itself. */
export function folderOf({ prefix = "" }: S3Options): string {
  return prefix.replace(/\/$/, "");
}

function hostAndPath(endpoint: string | undefined): string {
  if (endpoint === undefined) return "";
  const { host, pathname } = new URL(endpoint);
  return `${host}${pathname.replace(/\/+$/, "")}`;
}
