import type { Host } from "./host.ts";
import type { Resources } from "./machine.ts";

/** What an auction asks of this host. */
export interface AskedBid {
  readonly reservationId: string;
  readonly resources: Resources;
  readonly imageDigest: string;
  readonly app: string;
  /** The reservation's TTL; the ledger adds its grace. */
  readonly holdMs: number;
}

/** What an answer tells besides the ledger's. Hints, all of them. */
export interface BidHints {
  readonly isDraining: boolean;
  readonly imageLocal: boolean;
  /** 0 idle, 1 all CPUs busy. */
  readonly load: number;
}

/** This host's answer: what it holds now, or why not. */
export type Bid =
  | {
      readonly kind: "offer";
      readonly epoch: bigint;
      readonly freeAfter: Resources;
      readonly imageLocal: boolean;
      readonly load: number;
      readonly warm: number;
      readonly machines: number;
      readonly appMachines: number;
    }
  | {
      readonly kind: "decline";
      readonly reason: "no_cpu" | "no_memory" | "no_disk" | "draining";
      readonly largest?: Resources;
    };

/** Answers a bid from memory, and holds what it offers. */
export function bid(host: Pick<Host, "ledger" | "store" | "vmm">, asked: AskedBid, hints: BidHints): Bid {
  if (hints.isDraining) return { kind: "decline", reason: "draining" };
  const answer = host.ledger.hold(asked.reservationId, asked.resources, asked.holdMs);
  if (answer.kind === "declined") return { kind: "decline", reason: answer.reason, largest: answer.largest };
  let machines = 0;
  let appMachines = 0;
  for (const { state, spec } of host.store.all()) {
    if (state === "destroyed") continue;
    machines += 1;
    if (spec.app === asked.app) appMachines += 1;
  }
  const { epoch, freeAfter } = answer;
  const { imageLocal, load } = hints;
  const warm = host.vmm.warm?.(asked.resources) ?? 0;
  return { kind: "offer", epoch, freeAfter, imageLocal, load, warm, machines, appMachines };
}
