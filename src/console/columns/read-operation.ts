import { KINDS, type Operation } from "../../lib/latency/operation.ts";
import type { Dimension } from "../answers/operations.ts";
import type { Ids } from "./ids.ts";
import type { Interner } from "./interner.ts";

/** Columns that an operation is read from. */
interface View {
  readonly numbers: Readonly<Record<NumberName, ArrayLike<number>>>;
  readonly ids: Pick<Ids, "traceId" | "spanId">;
  readonly codes: Readonly<Record<Dimension, ArrayLike<number>>>;
  readonly hops: readonly ArrayLike<number>[];
  readonly texts: Readonly<Record<Dimension, Interner>>;
  readonly hopNames: Interner;
  readonly reasons: Interner;
  readonly notFaster: Interner;
}

type NumberName =
  | "kind"
  | "startMs"
  | "startUs"
  | "durationUs"
  | "reason"
  | "notFaster"
  | "queueLength"
  | "concurrency"
  | "poolSize"
  | "refillMs"
  | "unexplainedUs"
  | "skewUs"
  | "lagMs";

/** Reads an operation by its index. */
export function operationAt(view: View, index: number): Operation {
  const { numbers: n, ids, texts, codes } = view;
  const text = (dimension: Dimension) => texts[dimension].textOf(codes[dimension][index]);
  const hops: [name: string, us: number][] = [];
  for (const [code, times] of view.hops.entries()) {
    const us = times[index] ?? 0;
    if (us > 0) hops.push([view.hopNames.textOf(code), us]);
  }
  return {
    ...{ traceId: ids.traceId(index), spanId: ids.spanId(index), kind: KINDS[n.kind[index] ?? 0] ?? "start" },
    startUs: (n.startMs[index] ?? 0) * 1_000 + (n.startUs[index] ?? 0),
    durationUs: n.durationUs[index] ?? 0,
    reason: view.reasons.textOf(n.reason[index]),
    path: text("path"),
    notFaster: view.notFaster.textOf(n.notFaster[index]),
    ...{ org: text("org"), app: text("app"), machineId: text("machine"), host: text("host") },
    ...{ region: text("region"), image: text("image"), size: text("size"), version: text("version") },
    queueLength: n.queueLength[index] ?? 0,
    concurrency: n.concurrency[index] ?? 0,
    poolSize: n.poolSize[index] ?? -1,
    refillMs: n.refillMs[index] ?? -1,
    hops: Object.fromEntries(hops),
    unexplainedUs: n.unexplainedUs[index] ?? 0,
    skewUs: n.skewUs[index] ?? 0,
    lagMs: n.lagMs[index] ?? 0,
  };
}
