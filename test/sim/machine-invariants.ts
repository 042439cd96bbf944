import { machineFromProto } from "../../src/api/machines/convert-machine.ts";
import type { Machine as ApiMachine } from "../../src/api/machines/machine.ts";
import type { Ledger } from "../../src/hostd/capacity/ledger.ts";
import { machineToProto } from "../../src/hostd/convert-machine.ts";
import type { Machine } from "../../src/hostd/machines/machine.ts";
import { nextDue } from "../../src/hostd/machines/own-starts/due.ts";
import { snapshotName } from "../../src/hostd/operations/saves/snapshots.ts";
import type { Fleet } from "./fleet.ts";
import { WatchedLedger } from "./guards.ts";
import type { SimHost } from "./services/host.ts";
import type { Saved } from "./services/saved.ts";
import type { Vms } from "./services/vms.ts";
import type { Watch } from "./watch.ts";

/** After every event: what runs for a started machine is the version that it is said to have. */
export function checkPrograms(watch: Watch, machines: Iterable<Machine>, vms: Vms): void {
  for (const { id, state, spec, vmId } of machines) {
    if ((state !== "started" && state !== "suspending") || vmId === undefined) continue;
    const running = vms.running(vmId)?.["FLY_MACHINE_VERSION"];
    if (running !== undefined && running !== spec.instanceId)
      watch.violated(`machine ${id} has the version ${spec.instanceId} and runs ${running}`);
  }
}

/** After every event: what machines need to go on is there, whole, and has its place in the ledger. */
export function checkSaved(watch: Watch, machines: Iterable<Machine>, vms: Vms, ledger: Ledger): void {
  for (const machine of machines) {
    const { id, state, vmId, saved, snapshot } = machine;
    if (state === "destroyed") continue;
    if (state === "suspended") {
      const running = [...(vmId === undefined ? [] : [vmId]), ...vms.runningOf(id)];
      if (running.length > 0) watch.violated(`machine ${id} is suspended, and has the VM ${running.join()}`);
      if (!saved || !vms.saved.get(saved.vmId)?.isWhole)
        watch.violated(`machine ${id} is suspended, and lacks what it is to go on with`);
    }
    const version = snapshot?.name ? versionOf(vms.saved.get(snapshot.name)) : undefined;
    if (snapshot?.name && version !== snapshot.instanceId)
      watch.violated(`the snapshot of machine ${id} is of ${snapshot.instanceId}, and ${version} is saved`);
    if (!(ledger instanceof WatchedLedger)) continue;
    const megabytes = savedMb(machine, vms);
    if (megabytes > ledger.savedMb(id))
      watch.violated(`machine ${id} has ${megabytes} MB saved, and ${ledger.savedMb(id)} MB in the ledger`);
  }
}

/** The disk of what a machine needs, or is saving. What is of no use any more is about to go. */
function savedMb({ state, vmId, saved, snapshot }: Machine, vms: Vms): number {
  const kept = [saved?.vmId, snapshot?.name].map((name) => vms.saved.get(name ?? ""));
  const drafts = (vmId === undefined ? [] : [vmId, snapshotName(vmId)]).map((name) => vms.saved.get(name));
  const all = new Set([...kept, ...drafts.filter((draft) => draft?.isWhole === false)]);
  const sizes = [...all].map((each) => each?.megabytes ?? 0);
  // Otherwise its VM is about to go, too.
  const isStaying = vmId !== undefined && (state === "starting" || state === "started");
  return sizes.reduce((sum, size) => sum + size, isStaying ? vms.resumedMb(vmId) : 0);
}

function versionOf(saved: Saved | undefined): string | undefined {
  return saved?.env["FLY_MACHINE_VERSION"];
}

/** What of machines is not yet as it must be some time after the last fault, in words. */
export function unsettledMachines(fleet: Fleet): readonly string[] {
  const wrong: string[] = [];
  for (const host of fleet.hosts) {
    if (!host.now?.isServing) continue;
    for (const machine of host.now.store.all()) wrong.push(...unsettledMachine(fleet, host, machine));
  }
  const { events, versions } = fleet.postgres.tables;
  for (const [key, { machineId, event }] of fleet.histories.events) {
    const isKnown = fleet.postgres.tables.byId(machineId)?.snapshot;
    if (isKnown && !events.has(key))
      wrong.push(`event ${event.id} (${event.type}) of ${machineId} is not recorded`);
  }
  for (const [machineId, instanceIds] of fleet.histories.versions) {
    if (!fleet.postgres.tables.byId(machineId)?.snapshot) continue;
    for (const instanceId of instanceIds)
      if (!versions.has(`${machineId}/${instanceId}`))
        wrong.push(`version ${instanceId} of ${machineId} is not recorded`);
  }
  return wrong;
}

/** Of an acquire there is one machine that runs, or none, whoever died meanwhile. */
export function unsettledAcquires({ postgres, hosts, users }: Fleet): readonly string[] {
  const { acquires, sagas } = postgres.tables;
  const wrong: string[] = [];
  for (const { key, got, startable } of users.acquires) {
    const rows = [...acquires.values()].filter((row) => row.key === key);
    for (const { id, status } of rows)
      if (status !== "done" && status !== "failed") wrong.push(`acquire ${id} (${key}) is ${status}`);
    const intents = rows.flatMap((row) => row.intents);
    const requests = new Set(intents.flatMap((intent) => (intent.kind === "create" ? intent.requestId : [])));
    const created = [...sagas.values()].filter(({ requestId }) => requests.has(requestId ?? ""));
    const machines = created.flatMap(({ state }) => state.attempts.map(({ machineId }) => machineId));
    const running = [...machines, ...(startable ? [startable] : [])].filter((id) => {
      const state = hosts.map((host) => host.now?.store.get(id)?.state).find(Boolean);
      return state !== undefined && RUNNING.has(state);
    });
    const [chosen] = rows.flatMap(({ status, machineId }) => (status === "done" ? (machineId ?? []) : []));
    if (running.length > 1) wrong.push(`${key} has ${running.join(" and ")} running`);
    for (const id of running)
      if (id !== chosen) wrong.push(`${key} has left ${id} running; its machine is ${chosen}`);
    if (got.size > 1) wrong.push(`${key} was answered with ${[...got].join(" and ")}`);
  }
  return wrong;
}

const RUNNING: ReadonlySet<string> = new Set(["starting", "started", "restarting"]);

function unsettledMachine({ postgres, histories }: Fleet, { name, process }: SimHost, machine: Machine) {
  const { id, state, spec } = machine;
  const wrong: string[] = [];
  const due = nextDue(machine);
  // A host whose clock was set forward finds what is due within a minute.
  const isLater = due?.what === "schedule" || due?.what === "lifetime";
  if (due && (!isLater || due.atMs <= process.wallMs()))
    wrong.push(`${due.what} of machine ${id} (${spec.name}), ${state}, is to come`);
  if (PASSING.has(state)) wrong.push(`machine ${id} (${spec.name}) is ${state}`);
  if (isOver(machine)) wrong.push(`machine ${id} (${spec.name}) has not destroyed itself`);
  const owed = histories.owed(id);
  // A host may not have stored the rollback before it died.
  if (owed === spec.instanceId && state !== "started")
    wrong.push(`machine ${id} was rolled back to ${owed} and is ${state}`);
  const row = postgres.tables.byId(id);
  if (row?.snapshot && state !== "destroyed") {
    const told = comparable(machineFromProto(machineToProto(machine, name, [], process.wallMs())));
    if (comparable(row.snapshot) !== told)
      wrong.push(`machine ${id} is recorded as ${comparable(row.snapshot)}, not ${told}`);
  }
  return wrong;
}

/** Whether a machine that destroys itself has run, and will not run again. */
function isOver({ state, spec, events }: Machine): boolean {
  const [last] = events.filter(({ type }) => type === "exit" || type === "start" || type === "failure");
  const hasRun = last?.type === "exit" && last.instanceId === spec.instanceId;
  return spec.config.autoDestroy === true && state === "stopped" && hasRun;
}

const PASSING: ReadonlySet<string> = new Set([
  "starting",
  "stopping",
  "restarting",
  "updating",
  "suspending",
  "destroying",
]);

/** What a list tells of a machine. A lease ends without a change. */
function comparable(machine: ApiMachine): string {
  const { state, generation, instanceId, config, imageRef, cordoned, restartCount, nextStartTimeMs } =
    machine;
  return JSON.stringify({
    state,
    generation,
    instanceId,
    config,
    imageRef,
    cordoned,
    restartCount,
    nextStartTimeMs,
  });
}
