import type { ProbeResult } from "../storage.ts";

export type Probe<Scratch> = (scratch: Scratch) => Promise<Omit<ProbeResult, "what">>;

/** What a service refused a request with. */
export interface ServiceAnswer {
  readonly status: number;
  /** The service's own code, e.g. `AccessDenied`. */
  readonly code: string;
}

/**
 * Tries one thing after the other. A refusal that its probe did not expect is a result as well.
 * @param answerOf undefined for what is no answer of the service: that is thrown
 */
export async function* probeEach<Scratch>(
  probes: Readonly<Record<string, Probe<Scratch>>>,
  scratch: Scratch,
  answerOf: (error: unknown) => ServiceAnswer | undefined,
): AsyncIterable<ProbeResult> {
  for (const [what, probe] of Object.entries(probes)) {
    const result = await probe(scratch).catch((error: unknown) => {
      const answer = answerOf(error);
      if (answer === undefined) throw error;
      return unexpected(answer);
    });
    yield { what, ...result };
  }
}

/** Backups do without what only a probe asks for. */
function unexpected({ status, code }: ServiceAnswer): Omit<ProbeResult, "what"> {
  if (status === 403) return { outcome: "absent", detail: `not known, since this login may not ask (403 ${code})` };
  return { outcome: status === 501 ? "absent" : "fails", detail: `the service answered ${status} ${code}` };
}
