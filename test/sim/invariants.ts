import type { Host } from "../../src/hostd/hostd.ts";
import { type Machine, savedMbOf } from "../../src/hostd/machines/machine.ts";
import { isActive } from "../../src/hostd/machines/states.ts";
import { expectedPins } from "../../src/hostd/operations/reconcile.ts";
import type { Fleet } from "./fleet.ts";
import { checkPrograms, checkSaved, unsettledAcquires, unsettledMachines } from "./machine-invariants.ts";
import type { SimHost } from "./services/host.ts";
import { keyOf } from "./services/images.ts";
import type { Process } from "./world/world.ts";

/** What must be so after every event. `process`: in which it happened, the only one whose state can have changed. */
export function checkAlways(fleet: Fleet, process: Process | undefined): void {
  for (const host of fleet.hosts) {
    if (process === undefined || process === host.process) checkHost(fleet, host);
  }
  const { machines } = fleet.postgres.tables;
  const byName = new Set<string>();
  for (const row of machines.values()) {
    if (row.state === "destroyed") continue;
    if (byName.has(row.name)) fleet.watch.violated(`two machines are recorded as ${row.name}`);
    byName.add(row.name);
  }
}

function checkHost(fleet: Fleet, { name, number, now, capacity, vms }: SimHost): void {
  const { watch, postgres, world } = fleet;
  const used = vms.used();
  if (used.memoryMb > capacity.memoryMb || used.cpus > capacity.cpus)
    watch.violated(`the VMs of ${name} have ${used.cpus} CPUs and ${used.memoryMb} MB, more than there is`);
  if (!now?.isServing) return;
  checkPrograms(watch, now.store.all(), vms);
  checkSaved(watch, now.store.all(), vms, now.host.ledger);
  const { held, allocated } = now.host.ledger.sums();
  for (const what of ["cpus", "memoryMb", "diskMb"] as const) {
    const sum = held[what] + allocated[what];
    if (sum > capacity[what]) watch.violated(`${name} has promised ${sum} ${what} of ${capacity[what]}`);
  }
  for (const hold of now.host.ledger.holds()) {
    if (!watch.mayHold(now.life, hold.reservationId))
      watch.violated(`${name} still holds for ${hold.reservationId} after its deadline and grace`);
  }
  if (fleet.users.wantDistinct) {
    const beside = [...now.store.all()].filter(
      ({ state }) => state !== "destroying" && state !== "destroyed",
    );
    if (beside.length > 1) watch.violated(`${name} has ${beside.length} machines that are to be apart`);
  }
  const applied = postgres.tables.hosts.get(number)?.applied ?? 0n;
  if (BigInt(now.store.acknowledged) > applied)
    watch.violated(`${name} believes that ${now.store.acknowledged} is recorded, which is at ${applied}`);
  world.note(`${held.memoryMb}/${allocated.memoryMb}`);
}

/** What an ended create has left on a host must be gone so soon. The sweeper alone would take a minute at least. */
const DOUBT_MS = 30_000;

/** What must be so some time after a create has ended, or faults have: nothing is left of it but the machine it has. */
export function checkEnded(fleet: Fleet): void {
  const { world, watch, postgres } = fleet;
  for (const [createId, endedMs] of fleet.ended) {
    // Whoever settles goes by that clock.
    if (fleet.postgresJumpedMs >= endedMs || world.nowMs < Math.max(endedMs, fleet.healedMs) + DOUBT_MS)
      continue;
    for (const { machineId, outcome } of postgres.tables.sagas.get(createId)?.state.attempts ?? []) {
      if (outcome === "placed") continue;
      const host = fleet.hosts.find((each) => each.now?.store.get(machineId));
      const state = host?.now?.store.get(machineId)?.state;
      if (host && state !== "destroying" && state !== "destroyed")
        watch.violated(`create ${createId} has ended, and ${host.name} still has its machine ${machineId}`);
    }
  }
}

/** What is not yet as it must be some time after the last fault, in words; empty when all is well. */
export function unsettled(fleet: Fleet): readonly string[] {
  const { tables } = fleet.postgres;
  const wrong: string[] = [];
  if (!fleet.users.areDone) wrong.push("a user still waits");
  for (const saga of tables.sagas.values()) {
    const row = tables.machines.get(saga.id);
    if (saga.status !== "done" && saga.status !== "failed") wrong.push(`create ${saga.id} is ${saga.status}`);
    else if (saga.status === "failed" && row)
      wrong.push(`create ${saga.id} has failed, and its machine is there`);
    else if (saga.status === "done" && !row?.isCommitted)
      wrong.push(`create ${saga.id} is done without a machine`);
    if (saga.resolveMs !== null) wrong.push(`create ${saga.id} has left something in doubt`);
  }
  for (const { createId, id, name, state } of tables.machines.values()) {
    if (!tables.sagas.has(createId)) wrong.push(`machine ${id} of no create is recorded`);
    const host = fleet.hosts.find((each) => each.now?.store.get(id ?? ""));
    const there = host?.now?.store.get(id ?? "")?.state;
    // Hosts forget them sooner.
    const isForgotten = there === undefined && state === "destroyed";
    if (there !== state && !isForgotten)
      wrong.push(`machine ${id} (${name}) is ${state} in the record and ${there} on its host`);
  }
  for (const wish of fleet.users.wishes) {
    if (wish.got.size > 1)
      wrong.push(`request ${wish.requestId} was answered with ${[...wish.got].join(" and ")}`);
    for (const id of wish.got) {
      const state = tables.byId(id)?.state;
      if (state === undefined || (state === "destroyed" && !wish.isUnwanted))
        wrong.push(`machine ${id} was promised and is ${state ?? "not recorded"}`);
    }
  }
  for (const host of fleet.hosts) wrong.push(...unsettledHost(fleet, host));
  wrong.push(...unsettledMachines(fleet), ...unsettledAcquires(fleet));
  const { total } = fleet.redis.reservations.live(1);
  if (total > 0) wrong.push(`${total} reservations live`);
  return wrong;
}

function unsettledHost(fleet: Fleet, { name, now, vms, images }: SimHost): readonly string[] {
  if (!now?.isServing) return [`${name} is down`];
  const { tables } = fleet.postgres;
  const { store, host } = now;
  const wrong: string[] = [];
  const here = [...store.all()].filter(({ state }) => state !== "destroyed");
  for (const { id, spec, state } of here) {
    const row = tables.byId(id);
    if (!row || row.state === "destroyed")
      wrong.push(`${name} has machine ${id} (${spec.name}), ${state}, which nobody knows`);
    for (const event of host.store.get(id)?.events ?? [])
      if (row && !tables.events.has(`${id}/${event.id}`))
        wrong.push(`event ${event.id} of ${id} is not recorded`);
  }
  const owned = new Set(here.flatMap(({ vmId }) => vmId ?? []));
  for (const id of vms.ids()) if (!owned.has(id)) wrong.push(`${name} has VM ${id} of no machine`);
  for (const id of owned) if (!vms.ids().includes(id)) wrong.push(`${name} lacks VM ${id}`);
  const saved = new Set(here.flatMap(({ saved: of, snapshot }) => [of?.vmId, snapshot?.name]));
  for (const each of vms.saved.names())
    if (!saved.has(each)) wrong.push(`${name} has ${each} saved, which no machine has`);
  const pins = new Set(expectedPins(here).map(keyOf));
  for (const pin of images.pins) if (!pins.has(pin)) wrong.push(`${pin} is pinned on ${name}`);
  for (const pin of pins) if (!images.pins.has(pin)) wrong.push(`${pin} is not pinned on ${name}`);
  if (store.acknowledged < store.sequence) wrong.push(`${name} has changes to tell`);
  const { held, allocated } = host.ledger.sums();
  const diskMb = here.reduce((sum, each) => sum + each.spec.resources.diskMb + savedMbOf(each), 0);
  if (held.memoryMb > 0) wrong.push(`${name} holds ${held.memoryMb} MB`);
  if (allocated.diskMb !== diskMb)
    wrong.push(`${name} has ${allocated.diskMb} MB of disk allocated for ${diskMb}`);
  wrong.push(...unsettledRoom(name, host, here));
  return wrong;
}

/** CPU and memory are allocated for what runs, and for first starts to come: nothing else. */
function unsettledRoom(name: string, { ledger }: Host, here: readonly Machine[]): readonly string[] {
  const isPassing = here.some(({ state }) => isActive(state) && state !== "started");
  const isAhead = here.some(({ launchUntilMs }) => launchUntilMs !== undefined);
  if (isPassing || isAhead) return [];
  const { allocated } = ledger.sums();
  const running = here.filter(({ vmId }) => vmId !== undefined).map(({ spec }) => spec.resources);
  const memoryMb = running.reduce((sum, each) => sum + each.memoryMb, 0);
  const cpus = running.reduce((sum, each) => sum + each.cpus, 0);
  if (allocated.memoryMb === memoryMb && allocated.cpus === cpus) return [];
  return [
    `${name} has ${allocated.cpus} CPUs and ${allocated.memoryMb} MB allocated for ${cpus} and ${memoryMb}`,
  ];
}
