import { isShort } from "../availability/host-disk.ts";
import type { Host } from "../machines/host.ts";
import type { Resources } from "../machines/machine.ts";
import { appPresence } from "./app-presence.ts";

/** What an auction asks of this host. */
export interface AskedBid {
  readonly reservationId: string;
  readonly resources: Resources;
  readonly imageDigest: string;
  readonly app: string;
  /** Say no when a machine of the app is here. */
  readonly distinctHosts: boolean;
  /** The reservation's TTL; the ledger adds its grace. */
  readonly holdMs: number;
}

/** What an answer tells besides the ledger's. Hints, all but the first. */
export interface BidHints {
  /** Why this host takes no machines at all, if so. */
  readonly closed?: "draining" | "cordoned";
  readonly imageLocal: boolean;
  /** 0 idle, 1 all CPUs busy. */
  readonly load: number;
}

/** Why this host makes no offer. */
export type DeclineReason =
  | "no_cpu"
  | "no_memory"
  | "no_disk"
  | "draining"
  | "cordoned"
  | "app_present"
  | "busy";

/** This host's answer: what it holds now, or why not. */
export type Bid =
  | {
      readonly kind: "offer";
      readonly epoch: bigint;
      readonly freeAfter: Resources;
      readonly imageLocal: boolean;
      readonly load: number;
      readonly warmVms: number;
      readonly machines: number;
      readonly appMachines: number;
      readonly inFlight: number;
    }
  | { readonly kind: "decline"; readonly reason: DeclineReason; readonly largest?: Resources };

type Parts = Pick<Host, "ledger" | "store" | "vmm" | "starts" | "disk">;

/** Answers a bid from memory, and holds what it offers. */
export function bid(host: Parts, asked: AskedBid, hints: BidHints): Bid {
  if (hints.closed !== undefined) return { kind: "decline", reason: hints.closed };
  if (host.starts.isFull) return { kind: "decline", reason: "busy" };
  if (isShort(host.disk.space)) {
    return { kind: "decline", reason: "no_disk", largest: { ...host.ledger.sums().free, diskMb: 0 } };
  }
  const { app, reservationId, distinctHosts } = asked;
  const present = appPresence(host, app, reservationId);
  if (distinctHosts && present.machines > 0) return { kind: "decline", reason: "app_present" };
  const of = { app, isDistinct: distinctHosts };
  const answer = host.ledger.hold(reservationId, asked.resources, asked.holdMs, of);
  if (answer.kind === "declined") return { kind: "decline", reason: answer.reason, largest: answer.largest };
  const { epoch, freeAfter } = answer;
  const { imageLocal, load } = hints;
  const { machines, creating } = count(host);
  const appMachines = present.machines + present.held;
  const warmVms = host.vmm.warm?.(asked.resources) ?? 0;
  const inFlight = host.starts.running + host.starts.length + creating;
  return { kind: "offer", epoch, freeAfter, imageLocal, load, warmVms, machines, appMachines, inFlight };
}

/** The machines here, and how many of them are being made. */
function count({ store }: Parts): { machines: number; creating: number } {
  let machines = 0;
  let creating = 0;
  for (const { state } of store.all()) {
    if (state !== "destroyed") machines += 1;
    if (state === "creating") creating += 1;
  }
  return { machines, creating };
}
