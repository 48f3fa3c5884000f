import { z } from "zod";
import { ForeignAnswer } from "../network/foreign-answer.ts";

/** What the service says of an object. */
export interface ObjectFacts {
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
  /** In base64; composed objects have none. */
  readonly md5: string | undefined;
}

/** What a bucket does with its objects by itself; 0 seconds: nothing. */
export interface BucketSettings {
  readonly versioning: boolean;
  readonly softDeleteSeconds: number;
  readonly retentionSeconds: number;
}

/** An answer that is no success. */
export class RefusedError extends Error {
  readonly status: number;
  /** Google's word for it, e.g. `forbidden`. */
  readonly reason: string;
  /** By the service's clock. */
  readonly date: string | null;

  constructor(status: number, body: string, date: string | null) {
    const { message, reason } = errorOf(body);
    super(message);
    this.status = status;
    this.reason = reason;
    this.date = date;
  }
}

/** Not what was asked for: another try may help. */
export class BrokenAnswer extends Error {
  readonly code = "ERR_STREAM_PREMATURE_CLOSE";
}

/** What is asked for of an object, of a page of them, of what keeps an object, and of a bucket. */
export const FACTS = "name,size,timeCreated,md5Hash";
export const PAGE = `kind,items(${FACTS}),nextPageToken`;
export const RETENTION = "retentionExpirationTime";
export const SETTINGS = "versioning,softDeletePolicy,retentionPolicy";

const objectSchema = z
  .object({
    name: z.string(),
    size: z.string().regex(/^\d+$/),
    timeCreated: z.iso.datetime({ offset: true }),
    md5Hash: z.string().optional(),
  })
  .transform(
    ({ name, size, timeCreated, md5Hash }): ObjectFacts => ({
      name,
      sizeBytes: Number(size),
      createdAt: new Date(timeCreated),
      md5: md5Hash,
    }),
  );
const retentionSchema = z.object({ retentionExpirationTime: z.iso.datetime({ offset: true }).optional() });
/** A page without objects has no items; what says no kind is somebody else's answer, and not an empty page. */
const pageSchema = z.object({
  kind: z.literal("storage#objects"),
  items: z.array(objectSchema).default([]),
  nextPageToken: z.string().optional(),
});
export type Page = z.output<typeof pageSchema>;
/** All that the library takes for granted: where there are items, it goes through them. */
const answerSchema = z.looseObject({ items: z.array(z.unknown()).optional() });
const seconds = z.string().regex(/^\d+$/).default("0").transform(Number);
const settingsSchema = z
  .object({
    versioning: z.object({ enabled: z.boolean().default(false) }).prefault({}),
    softDeletePolicy: z.object({ retentionDurationSeconds: seconds }).prefault({}),
    retentionPolicy: z.object({ retentionPeriod: seconds }).prefault({}),
  })
  .transform(
    ({ versioning, softDeletePolicy, retentionPolicy }): BucketSettings => ({
      versioning: versioning.enabled,
      softDeleteSeconds: softDeletePolicy.retentionDurationSeconds,
      retentionSeconds: retentionPolicy.retentionPeriod,
    }),
  );
const errorSchema = z.object({
  error: z.object({ message: z.string(), errors: z.array(z.object({ reason: z.string() })).default([]) }),
});

export function toFacts(metadata: unknown): ObjectFacts {
  return parse(objectSchema, metadata);
}

/** Until when nobody may delete an object, by whatever keeps it. */
export function toRetention(metadata: unknown): Date | undefined {
  const { retentionExpirationTime: until } = parse(retentionSchema, metadata);
  return until === undefined ? undefined : new Date(until);
}

export function toPage(answer: unknown): Page {
  return parse(pageSchema, answer);
}

export function toSettings(metadata: unknown): BucketSettings {
  return parse(settingsSchema, metadata);
}

/** The JSON of an answer; one without a body has none. */
export function jsonOf(body: Buffer): object {
  return body.length === 0 ? {} : parse(answerSchema, parsed(body.toString("utf8")));
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) throw new ForeignAnswer("its answer is of another kind");
  return result.data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Downloads are refused with a text, everything else with JSON; by a proxy with a page, which says nothing in one line. */
function errorOf(body: string): { message: string; reason: string } {
  const { success, data } = errorSchema.safeParse(parsed(body));
  return success
    ? { message: data.error.message, reason: data.error.errors[0]?.reason ?? "" }
    : { message: /^\s*</.test(body) ? "" : body, reason: "" };
}
