import type { DiskWatch } from "../availability/disk-watch.ts";
import { isShort } from "../availability/host-disk.ts";
import type { Scheduling } from "../availability/scheduling.ts";
import type { Resources } from "../machines/version.ts";
import type { Store } from "../store/store.ts";
import type { Vmm } from "../vmm/vmm.ts";
import { appPresence } from "./app-presence.ts";
import type { Ledger } from "./ledger.ts";

/** What an auction asks this host for. */
export interface BidRequest {
  readonly reservationId: string;
  readonly resources: Resources;
  readonly imageDigest: string;
  readonly app: string;
  /** Decline when the app has a machine here. */
  readonly distinctHosts: boolean;
  /** TTL of the reservation; the ledger adds its grace. */
  readonly holdMs: number;
}

/** What a bid depends on besides the parts of the host. */
export interface BidHints {
  /** Whether hostd is shutting down. Default: no. */
  readonly isClosing?: boolean;
  readonly imageLocal: boolean;
  /** From 0, idle, to 1, all CPUs busy. */
  readonly load: number;
}

export type DeclineReason =
  | "no_cpu"
  | "no_memory"
  | "no_disk"
  | "draining"
  | "cordoned"
  | "app_present"
  | "busy"
  | "other";

/** An offer, whose capacity is held, or a decline. */
export type BidAnswer =
  | {
      readonly kind: "offer";
      readonly epoch: bigint;
      readonly freeAfter: Resources;
      readonly imageLocal: boolean;
      readonly load: number;
      /** Warm VMs of the shape. */
      readonly warmVms: number;
      readonly machines: number;
      /** Machines and holds of the app. */
      readonly appMachines: number;
      /** Starts and creates under way. */
      readonly inFlight: number;
    }
  | {
      readonly kind: "decline";
      readonly reason: DeclineReason;
      readonly largest?: Resources;
    };

export interface BidParts {
  readonly ledger: Pick<Ledger, "hold" | "sums" | "holdsOfApp" | "isDistinct">;
  readonly store: Pick<Store, "all">;
  readonly vmm: Pick<Vmm, "warm">;
  readonly starts: { readonly isFull: boolean; readonly running: number; readonly length: number };
  readonly scheduling: { readonly current: Scheduling };
  readonly disk: Pick<DiskWatch, "space">;
}

/** Answers a bid request from memory, and holds what it offers. */
export function bid(host: BidParts, request: BidRequest, hints: BidHints): BidAnswer {
  const scheduling = hints.isClosing ? "draining" : host.scheduling.current;
  if (scheduling !== "open") return { kind: "decline", reason: scheduling };
  if (host.starts.isFull) return { kind: "decline", reason: "busy" };
  if (isShort(host.disk.space)) {
    return { kind: "decline", reason: "no_disk", largest: { ...host.ledger.sums().free, diskMb: 0 } };
  }
  const { app, reservationId, distinctHosts } = request;
  const present = appPresence(host, app, reservationId);
  if (distinctHosts && present.machines > 0) return { kind: "decline", reason: "app_present" };
  const of = { app, isDistinct: distinctHosts };
  const answer = host.ledger.hold(reservationId, request.resources, request.holdMs, of);
  if (answer.kind === "declined") return { kind: "decline", reason: answer.reason, largest: answer.largest };
  const { epoch, freeAfter } = answer;
  const { imageLocal, load } = hints;
  const { machines, creating } = countMachines(host);
  const appMachines = present.machines + present.held;
  const warmVms = host.vmm.warm?.(request.resources) ?? 0;
  const inFlight = host.starts.running + host.starts.length + creating;
  return { kind: "offer", epoch, freeAfter, imageLocal, load, warmVms, machines, appMachines, inFlight };
}

function countMachines({ store }: BidParts): { machines: number; creating: number } {
  let machines = 0;
  let creating = 0;
  for (const { state } of store.all()) {
    if (state !== "destroyed") machines += 1;
    if (state === "creating") creating += 1;
  }
  return { machines, creating };
}
