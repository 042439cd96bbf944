import { z } from "zod";
import type { Report } from "./job.ts";

// What the process sends is checked: an image may have taken it over.

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const text = (max: number) => z.string().max(max);
const facts = z.record(text(100), text(2_000)).refine((record) => Object.keys(record).length <= 20);

const REPORT = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("started") }),
  z.strictObject({ kind: z.literal("progress"), bytes: count, layers: count }),
  z.strictObject({ kind: z.literal("planned"), bytes: count, entries: count, maxRootfsBytes: count }),
  z.strictObject({ kind: z.literal("done") }),
  z.strictObject({ kind: z.literal("failed"), reason: text(63), message: text(4_000), facts }),
]) satisfies z.ZodType<Report>;

/** Longer than any report. */
export const MAX_LINE = 64 * 1024;

/** Parses a line of the process. @throws when it is no report */
export function parseReport(line: string): Report {
  return REPORT.parse(JSON.parse(line));
}
