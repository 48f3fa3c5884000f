import type { CreateRequest } from "../../../src/operations/operations.ts";
import { addFile, createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import type { SiteOptions } from "../../helpers/site.ts";

export const DAY_MS = 86_400_000;
/** Of a handful of backups one is a large share. */
export const ROOMY = "\n  max_delete: 100%";

interface Aged {
  readonly site: OpenSite;
  /** Makes a backup as it was made so many days ago. */
  made(daysAgo: number, request?: Partial<CreateRequest>): Promise<string>;
  /** So much time passes. */
  wait(ms: number): void;
}

/** A site whose clock can be put back for its backups; what cleans up sees the time that it is. */
export async function agedSite(options: Partial<SiteOptions> & { readonly rules?: string } = {}): Promise<Aged> {
  let daysAgo = 0;
  let waitedMs = 0;
  const clock = { now: () => new Date(Date.now() + waitedMs - daysAgo * DAY_MS), monotonicMs: () => performance.now() };
  const { rules = ROOMY, ...others } = options;
  const site = await openSite({ clock, more: `retention:${rules}`, ...others });
  return {
    site,
    wait(ms) {
      waitedMs += ms;
    },
    async made(days, request = {}) {
      daysAgo = days;
      addFile(site, `at-${days}`, 20_000);
      const { id } = await createOne(site, {
        retentionClass: request.mode === undefined ? "daily" : undefined,
        ...request,
      });
      daysAgo = 0;
      return id;
    },
  };
}
