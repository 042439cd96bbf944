import type { Kind } from "../../../src/lib/latency/operation.ts";
import type { StoredOperation } from "../../../src/lib/latency/operation-rows.ts";

/** Numbers from 0 to 1 that are the same in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) | 0;
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
    return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PATHS = [
  ["warm", 30_000, 0.8],
  ["template", 190_000, 0.95],
  ["cold", 1_600_000, 1],
] as const;
const HOPS = [
  "api",
  "network",
  "hostd",
  "admission",
  "store",
  "claim",
  "disk swap",
  "guest mount",
  "guest exec",
];

/**
 * Operations of a busy fleet: 40 hosts of which one swaps disks slowly, three start paths, 300 apps
 * of 20 organisations, some failures, evenly over `hours` before `endMs`.
 */
export function busyFleet(count: number, hours: number, endMs: number, seed = 1): StoredOperation[] {
  const random = randomFrom(seed);
  const pick = (n: number) => Math.floor(random() * n);
  return Array.from({ length: count }, (_, i): StoredOperation => {
    const isCreate = random() < 0.05;
    const share = random();
    const [path, typicalUs] = PATHS.find(([, , upTo]) => share < upTo) ?? PATHS[0];
    const host = pick(40);
    const app = pick(300);
    const kind: Kind = isCreate ? "create" : "start";
    const slowUs = host === 13 ? 80_000 : 0;
    const baseUs = typicalUs * (isCreate ? 3 : 1) * (0.7 + 0.6 * random()) * (random() < 0.02 ? 4 : 1);
    const hops = Object.fromEntries(
      HOPS.map((hop, at) => [hop, Math.round((baseUs * (at + 1)) / 45) + (hop === "disk swap" ? slowUs : 0)]),
    );
    const row = i + 1;
    return {
      ...{ row, kind, path, hops },
      traceId: row.toString(16).padStart(32, "a"),
      spanId: row.toString(16).padStart(16, "b"),
      size: "shared-1x-256",
      durationUs: Object.values(hops).reduce((sum, us) => sum + us, 0),
      startUs: Math.round((endMs - hours * 3_600_000 * (1 - i / count)) * 1_000),
      reason: random() < 0.005 ? "START_FAILED" : "",
      notFaster: path === "warm" ? "" : "pool_empty",
      org: `org-${app % 20}`,
      app: `app-${app}`,
      machineId: (app * 7 + pick(3)).toString(16).padStart(14, "0"),
      host: `host-${host}`,
      region: host < 20 ? "ord" : "gru",
      image: `image-${app % 50}`,
      version: i < count / 2 ? "1.0.0" : "1.1.0",
      queueLength: pick(10) === 0 ? pick(20) : 0,
      concurrency: 1 + pick(16),
      poolSize: pick(8),
      refillMs: random() < 0.3 ? 400 + pick(400) : -1,
      unexplainedUs: pick(300),
      skewUs: pick(50),
      lagMs: 200 + pick(200),
    };
  });
}
