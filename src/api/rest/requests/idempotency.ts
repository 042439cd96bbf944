import { createHash } from "node:crypto";

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/**
 * Makes the `request_id` of an `Idempotency-Key`: the key, or its hash when it is no valid
 * `request_id`.
 */
export function requestIdOf(header: string | string[] | undefined): string {
  const key = typeof header === "string" ? header : "";
  if (key === "" || REQUEST_ID.test(key)) return key;
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}
