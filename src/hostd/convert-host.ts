import type { Hold as HoldProto } from "../gen/windhover/hostd/v1/hostd.ts";
import {
  type HostInfo,
  type Resources as ResourcesProto,
  Scheduling as SchedulingProto,
  type Status,
} from "../gen/windhover/scheduler/v1/host.ts";
import { invalid } from "../lib/faults/fault.ts";
import { mapToProto } from "../lib/grpc/messages/maps.ts";
import type { DiskWatch } from "./availability/disk-watch.ts";
import { type DiskSpace, roundedSpace } from "./availability/host-disk.ts";
import { SCHEDULINGS, type Scheduling } from "./availability/scheduling.ts";
import type { Hold } from "./capacity/holds.ts";
import type { Ledger } from "./capacity/ledger.ts";
import type { Resources } from "./machines/version.ts";
import type { Store } from "./store/store.ts";
import type { Vmm, VmmInfo } from "./vmm/vmm.ts";

const OUTBOX_STEP_S = 10;

/** What a host tells schedulers and apis about itself. */
export interface HostIdentity {
  readonly number: number;
  readonly name: string;
  /** Random, made at the first start: tells two hosts with one number apart. */
  readonly identity: string;
  readonly region: string;
  readonly zone: string;
  /** gRPC address of its hostd. */
  readonly address: string;
  readonly capacity: Resources;
  readonly vmm: VmmInfo;
  readonly labels: Readonly<Record<string, string>>;
}

export interface StatusParts {
  readonly ledger: Pick<Ledger, "sums">;
  readonly store: Pick<Store, "all">;
  readonly vmm: Pick<Vmm, "warm">;
  readonly scheduling: { readonly current: Scheduling };
  readonly disk: Pick<DiskWatch, "space">;
  /** Of the outbox: see `OutboxProgress`. */
  readonly delivery: { readonly stalledMs: number; readonly waiting: number };
}

/** Converts an identity for schedulers and, with the same fields, for apis. */
export function hostInfoToProto({ capacity, vmm, labels, ...rest }: HostIdentity): HostInfo {
  return {
    ...rest,
    capacity: resourcesToProto(capacity),
    vmm: `${vmm.name} ${vmm.version}`.trim(),
    acceleration: vmm.acceleration,
    isolation: vmm.isolation,
    vmmReason: vmm.reason,
    labels: mapToProto(labels),
  };
}

/** Makes the status of a host. @param load from 0, idle, to 1, all CPUs busy */
export function statusToProto(host: StatusParts, load: number): Status {
  const sums = host.ledger.sums();
  const byState = new Map<string, number>();
  for (const { state } of host.store.all()) {
    if (state !== "destroyed") byState.set(state, (byState.get(state) ?? 0) + 1);
  }
  return {
    held: resourcesToProto(sums.held),
    allocated: resourcesToProto(sums.allocated),
    running: resourcesToProto(sums.running),
    machines: byState,
    load,
    warmVms: host.vmm.warm?.() ?? 0,
    scheduling: SCHEDULING[host.scheduling.current],
    ...diskToProto(host.disk.space),
    ...outboxToProto(host),
  };
}

const SCHEDULING = {
  open: SchedulingProto.OPEN,
  cordoned: SchedulingProto.CORDONED,
  draining: SchedulingProto.DRAINING,
} satisfies Record<Scheduling, SchedulingProto>;

export function schedulingToProto(scheduling: Scheduling): SchedulingProto {
  return SCHEDULING[scheduling];
}

/** @throws Fault INVALID_FIELDS */
export function schedulingFromProto(scheduling: SchedulingProto): Scheduling {
  const known = SCHEDULINGS.find((each) => SCHEDULING[each] === scheduling);
  if (known) return known;
  throw invalid([{ field: "scheduling", description: "must be open, cordoned or draining" }]);
}

/** Converts a hold. @param offsetMs from the monotonic clock to the wall clock */
export function holdToProto(hold: Hold, offsetMs: number): HoldProto {
  return {
    reservationId: hold.reservationId,
    epoch: hold.epoch,
    resources: resourcesToProto(hold.resources),
    expireTime: new Date(hold.deadlineMs + offsetMs),
  };
}

/** Converts amounts, rounded down to whole ones of zero or more. */
export function resourcesToProto({ cpus, memoryMb, diskMb }: Resources): ResourcesProto {
  const whole = (amount: number) => Math.max(0, Math.floor(amount));
  return { cpus: whole(cpus), memoryMb: BigInt(whole(memoryMb)), diskMb: BigInt(whole(diskMb)) };
}

function diskToProto(space: DiskSpace | undefined): Pick<Status, "diskFreeMb" | "diskReserveMb"> {
  if (!space) return {};
  const { freeMb, reserveMb } = roundedSpace(space);
  return { diskFreeMb: BigInt(freeMb), diskReserveMb: BigInt(reserveMb) };
}

/** Rounded, so that the status of a host whose outbox is stalled does not change every second. */
function outboxToProto({ delivery }: StatusParts): Pick<Status, "outboxStalledS" | "outboxEvents"> {
  const stalledS = Math.floor(delivery.stalledMs / 1_000 / OUTBOX_STEP_S) * OUTBOX_STEP_S;
  if (stalledS === 0) return {};
  return { outboxStalledS: BigInt(stalledS), outboxEvents: BigInt(delivery.waiting) };
}
