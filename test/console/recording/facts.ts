/** What is true of the recording, and what the page has to say of it. */

export const HOSTS = ["ord-1", "ord-2", "ord-3", "ord-4", "gru-1", "gru-2"] as const;
export const IMAGES = [
  "registry.example/shop/web:41",
  "registry.example/shop/api:17",
  "registry.example/ml/resize:9",
  "registry.example/jobs/nightly:7",
] as const;
export const APPS = ["web", "api", "resize", "nightly"] as const;

/** From then on one host's disk is slow. Minutes before the end. */
export const SLOW_DISK = { host: "ord-3", minutesBefore: 20, hop: "disk swap" } as const;
/** The guest's exec takes a quarter longer with the later version. */
export const VERSIONS = { before: "1.4.2", after: "1.5.0", minutesBefore: 35, slower: 1.25 } as const;
/** So many more starts come in these minutes that pools run dry. */
export const BURST = { fromMinutesBefore: 50, untilMinutesBefore: 46 } as const;
/** One start in so many of this image fails. */
export const FAILING = { image: IMAGES[3], reason: "EXEC_FAILED", share: 0.12 } as const;

const MINUTE_MS = 60_000;

export function minutesBefore(endMs: number, minutes: number): number {
  return endMs - minutes * MINUTE_MS;
}
