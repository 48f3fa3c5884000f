import type { BlobItem, BlockBlobClient } from "@azure/storage-blob";
import { systemClock } from "../../platform/clock.ts";
import type { ColdObjects, OperationOptions } from "../storage.ts";
import type { AzureOptions } from "./options.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** For High the service promises it of blobs below 10 GB. */
const THAW_HOURS = { High: 1, Standard: 15 } as const;

type TierProperties = Pick<BlobItem["properties"], "accessTier" | "accessTierInferred" | "accessTierChangedOn">;

interface Container {
  readonly options: AzureOptions;
  readonly blob: (key: string) => BlockBlobClient;
  /** Tells errors of the service as the port promises them. */
  readonly doing: <T>(
    what: string,
    options: OperationOptions,
    work: (abort: { readonly abortSignal?: AbortSignal }) => Promise<T>,
  ) => Promise<T>;
}

/** Blobs that the options, or a lifecycle rule of the account, move to the tier Archive. */
export function coldBlobs({ options, blob, doing }: Container): ColdObjects {
  const { tier, thaw_priority: rehydratePriority } = options;
  const thawMs = THAW_HOURS[rehydratePriority] * HOUR_MS;
  const warmth: ColdObjects["warmth"] = (key, given = {}) =>
    doing(`look at ${key}`, given, async (abort) => {
      const { accessTier, archiveStatus = "" } = await blob(key).getProperties(abort);
      if (accessTier !== "Archive") return { state: "ready", thawMs: 0 };
      return { state: archiveStatus === "" ? "frozen" : "thawing", thawMs };
    });
  const thaw: ColdObjects["thaw"] = async (key, given = {}) => {
    if ((await warmth(key, given)).state !== "frozen") return;
    await doing(`thaw ${key}`, given, (abort) => blob(key).setAccessTier("Hot", { ...abort, rehydratePriority }));
  };
  if (tier !== "Archive") return { thaw, warmth };
  return {
    thaw,
    warmth,
    freeze: (key, given = {}) =>
      doing(`move ${key} to the tier Archive`, given, async (abort) => {
        await blob(key).setAccessTier("Archive", abort);
      }),
  };
}

/** A blob that was brought back to be read keeps its new tier: for as long as it is to be readable it counts as cold all the same. */
export function isCold({ tier, thaw_days }: AzureOptions, properties: TierProperties): boolean {
  const { accessTier, accessTierInferred, accessTierChangedOn } = properties;
  if (accessTier === "Archive") return true;
  // What is put has the account's tier, which the service infers.
  if (tier !== "Archive" || accessTierInferred === true || accessTierChangedOn === undefined) return false;
  return systemClock.now().getTime() - accessTierChangedOn.getTime() < thaw_days * DAY_MS;
}
