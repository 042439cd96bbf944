import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin } from "../../lib/runtime/wait.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { Ports } from "../capacity/ports.ts";
import type { ImageCacheClient, Pin } from "../images/imagecache-client.ts";
import type { LogStore } from "../logs/log-store.ts";
import { machineOfVm } from "../machines/ids.ts";
import { type Machine, savedMbOf } from "../machines/machine.ts";
import { isActive } from "../machines/states.ts";
import { digestsOf } from "../machines/version.ts";
import type { Store } from "../store/store.ts";
import type { Vmm } from "../vmm/vmm.ts";
import type { Driver } from "./driver.ts";
import type { Machines } from "./machines.ts";
import { snapshotName } from "./saves/snapshots.ts";
import type { Teardowns } from "./teardowns.ts";

export interface ReconcileParts {
  readonly store: Pick<Store, "all" | "get" | "prune">;
  readonly vmm: Pick<Vmm, "list" | "destroy" | "saved" | "dropSaved">;
  readonly ledger: Pick<Ledger, "restore" | "reserve">;
  readonly ports: Pick<Ports, "restore">;
  readonly images: Pick<ImageCacheClient, "pin" | "reconcilePins">;
  readonly logs: Pick<LogStore, "owners" | "remove">;
  readonly teardowns: Pick<Teardowns, "has">;
  readonly clock: Pick<Clock, "now">;
  /**
   * `abandonedCreateMs`: after this a machine is removed whose create does not go on. `tombstoneMs`: how long a destroyed machine
   * stays in the store to answer late calls. `takeOverMs`: how long guests that do not answer are waited for, together.
   */
  readonly limits: {
    readonly abandonedCreateMs: number;
    readonly tombstoneMs: number;
    readonly takeOverMs: number;
  };
}

/**
 * Before hostd serves: allocates what machines in the store have, takes over their VMs, resumes stops and removals. Guests that do
 * not answer soon are taken over while it serves.
 */
export async function reconcileAtStart(host: ReconcileParts, machines: Machines): Promise<void> {
  for (const machine of host.store.all()) restore(host, machine);
  // Before anything is started that is due: nobody has their memory allocated.
  await destroyLeftoverVms(host, machines);
  await attempt("remove leftover saved VMs", () => dropLeftoverSaved(host));
  const all = machines.list();
  const takeOvers = all.map(({ id }) => takeOver(machines.driver(id)));
  if (!(await endsWithin(host.limits.takeOverMs, Promise.all(takeOvers))))
    logger.warn("some guests have not answered yet, and are taken over while the host serves");
  const counts = { machines: all.length, with_vm: all.filter((m) => m.vmId !== undefined).length };
  logger.info("took over the machines of this host", counts);
}

/** Runs once a minute, and cleans up everything on a host that a call or a crash has left: see docs/cleanup.md. */
export async function sweep(host: ReconcileParts, machines: Machines): Promise<void> {
  const swept = machines.list().map(({ id }) => sweepMachine(host, machines.driver(id)));
  await endsWithin(host.limits.takeOverMs, Promise.all(swept));
  await attempt("destroy leftover VMs", () => destroyLeftoverVms(host, machines));
  await attempt("remove leftover saved VMs", () => dropLeftoverSaved(host));
  await attempt("remove leftover logs", () => removeLeftoverLogs(host));
  await attempt("reconcile pins", () => reconcilePins(host, machines));
  await attempt("prune destroyed machines", () =>
    host.store.prune(host.clock.now() - host.limits.tombstoneMs),
  );
  machines.pruneDrivers();
}

/** Returns the pins that there should be: of the image of each machine that is not destroyed, and of the one before it during an update. */
export function expectedPins(machines: Iterable<Machine>): readonly Pin[] {
  const pins: Pin[] = [];
  for (const { id, state, spec } of machines) {
    if (state === "destroying" || state === "destroyed") continue;
    for (const digest of digestsOf(spec)) pins.push({ digest, owner: id, org: spec.org });
  }
  return pins;
}

function restore(host: ReconcileParts, machine: Machine): void {
  if (machine.state === "destroyed") return;
  const launchForMs = Math.max(0, (machine.launchUntilMs ?? 0) - host.clock.now());
  const { id, vmId, state, spec, update } = machine;
  const { resources, previous } = spec;
  // While an update stops the old VM, the spec has the new size already.
  const size = state === "updating" ? (previous?.resources ?? resources) : resources;
  const vm = vmId === undefined ? {} : { vm: { id: vmId, resources: size } };
  host.ledger.restore(id, resources, { launchForMs, ...vm, savedMb: savedMbOf(machine) });
  const isBetween = state === "restarting" && machine.restartAtMs === undefined;
  if (isBetween || update?.launch) host.ledger.reserve(id, previous?.resources);
  host.ports.restore([...machine.ports, ...(update?.previousPorts ?? [])]);
}

/** Removes an abandoned create. Retries the take-over of a VM, and a removal, that have failed. */
async function sweepMachine(host: ReconcileParts, driver: Driver): Promise<void> {
  if (driver.activity !== undefined) return;
  const { id, state, updatedAtMs, vmId } = driver.machine;
  const idleMs = host.clock.now() - updatedAtMs;
  if (state === "creating" && idleMs > host.limits.abandonedCreateMs && !driver.isPreparing) {
    const why = { source: "hostd", message: "its create did not go on" } as const;
    await attempt("remove an abandoned create", () => driver.destroy(false, why), id);
  }
  const lacksVm = isActive(state) && driver.runtime.vm === undefined && vmId !== undefined;
  if (state === "destroying" || lacksVm) await takeOver(driver);
  // The clock may have been set.
  else driver.rearm();
}

function takeOver(driver: Driver): Promise<void> {
  return attempt("take over a machine", () => driver.takeOver.run(), driver.runtime.id);
}

async function destroyLeftoverVms(host: ReconcileParts, machines: Machines): Promise<void> {
  const vms = await host.vmm.list();
  // Read after the list, in one tick: the VM of a start is first launching, then stored or being destroyed.
  const known = new Set([...host.store.all()].map((machine) => machine.vmId));
  const leftovers = vms.filter((vmId) => {
    return !known.has(vmId) && !machines.isLaunching(vmId) && !host.teardowns.has(machineOfVm(vmId), vmId);
  });
  for (const vmId of leftovers) {
    logger.info("destroying a VM that no machine has", { vm_id: vmId });
    await attempt("destroy a leftover VM", () => host.vmm.destroy(vmId), vmId);
  }
}

/** Removes saved VMs that no machine has. */
async function dropLeftoverSaved({ vmm, store }: ReconcileParts): Promise<void> {
  const saved = (await vmm.saved?.()) ?? [];
  // Read after the list: the VM of a save has its own id before it has been saved.
  const known = new Set([...store.all()].flatMap(namesOfSaved));
  for (const { name } of saved) {
    if (known.has(name)) continue;
    logger.info("removing a saved VM that no machine has", { name });
    await attempt("remove a leftover saved VM", async () => vmm.dropSaved?.(name), name);
  }
}

function namesOfSaved({ vmId, saved: of, snapshot }: Machine): readonly (string | undefined)[] {
  return [vmId, vmId && snapshotName(vmId), of?.vmId, snapshot?.name];
}

async function removeLeftoverLogs(host: ReconcileParts): Promise<void> {
  for (const owner of await host.logs.owners()) {
    const state = host.store.get(owner)?.state;
    if (state === undefined || state === "destroyed") await host.logs.remove(owner);
  }
}

async function reconcilePins(host: ReconcileParts, machines: Machines): Promise<void> {
  const expected = () => [...expectedPins(host.store.all()), ...machines.pinsOfUpdates()];
  const pins = expected();
  await host.images.reconcilePins(pins);
  const sent = new Set(pins.map(keyOf));
  // An image that was pulled meanwhile may have lost its pin, which was not in the list.
  for (const pin of expected()) if (!sent.has(keyOf(pin))) await host.images.pin(pin);
}

function keyOf({ digest, owner }: Pin): string {
  return `${digest} ${owner}`;
}

/** Runs `work` and logs its error: the next sweep tries again. */
async function attempt(task: string, work: () => Promise<unknown>, id?: string): Promise<void> {
  try {
    await work();
  } catch (error) {
    const level = error instanceof Fault && error.code === "UNAVAILABLE" ? "warn" : "error";
    logger[level]("could not reconcile", { task, id, error });
  }
}
