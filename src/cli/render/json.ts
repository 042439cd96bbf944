import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { hostStatusName, schedulingName, standingName, stateName } from "./names.ts";

/** Fields whose numbers are enums. */
const ENUMS: Readonly<Record<string, (value: number) => string>> = {
  state: stateName,
  status: stateName,
  hostStatus: hostStatusName,
  scheduling: schedulingName,
  standing: standingName,
};
/** Fields in which an empty string means that there is nothing. */
const OPTIONAL: ReadonlySet<string> = new Set([
  ...["lastStartPath", "lastStartTraceId", "createTraceId", "reason", "signal", "claimant", "problem"],
]);

/**
 * Converts a message of the API to what `--json` prints. Stable: names as in proto, int64 as
 * numbers, enums as lower-case words, times as RFC 3339, durations such as `2.5s`. What is not
 * known is null; no key is left out.
 *
 * @param field the name of the field that holds the value
 */
export function toJson(value: unknown, field = ""): unknown {
  if (value === undefined || (value === "" && OPTIONAL.has(field))) return null;
  if (typeof value === "number") return ENUMS[field]?.(value) ?? value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((each) => toJson(each, field));
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  // As the client sent it.
  if (field === "extra") return value;
  // The keys of a map are the user's, and become own properties whatever they are.
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, each]) => [name, toJson(each, field)]));
  if (typeof value !== "object" || value === null) return value;
  if ("seconds" in value && "nanos" in value) {
    // Of all messages only google.protobuf.Duration has these fields.
    return `${durationFromProto(value as { seconds: bigint; nanos: number }) / 1_000}s`;
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      // A check has a status of HTTP.
      toJson(each, field === "checks" && typeof each === "number" ? "" : name),
    ]),
  );
}
