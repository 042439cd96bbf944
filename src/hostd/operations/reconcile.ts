import type { Host } from "../machines/host.ts";
import { wantedPins } from "../machines/host.ts";
import { machineOfVm } from "../machines/ids.ts";
import type { Machine } from "../machines/machine.ts";
import { hasVm } from "../machines/states.ts";
import type { Machines } from "./machines.ts";

/**
 * Puts right what an earlier life of hostd left: fills the ledger and the ports from the durable state, takes over the VMs, goes
 * on with stops and removals. Serving begins after it.
 */
export async function reconcileAtStart(host: Host, machines: Machines): Promise<void> {
  for (const machine of host.store.all()) restore(host, machine);
  const all = machines.list();
  await Promise.all(all.map((machine) => adopt(host, machines, machine)));
  await removeLeftovers(host, machines);
  const counts = { machines: all.length, with_vm: all.filter((m) => m.vmId !== undefined).length };
  host.log.info("the machines of this host have been taken over", counts);
}

/** Looks, once in a while, for what should not be: VMs and logs of nobody, removals and take-overs not finished, creates given up. */
export async function sweep(host: Host, machines: Machines): Promise<void> {
  for (const { id, state, updatedAtMs } of machines.list()) {
    const driver = machines.driver(id);
    if (driver.activity !== undefined) continue;
    const idleMs = host.clock.now() - updatedAtMs;
    if (state === "creating" && idleMs > host.limits.abandonedCreateMs && !driver.isPreparing) {
      await attempt(host, id, "remove an abandoned create", () =>
        driver.destroy(false, { source: "hostd", message: "its create did not go on" }),
      );
    }
    const isOrphan = hasVm(state) && driver.runtime.vm === undefined && driver.machine.vmId !== undefined;
    if (state === "destroying" || isOrphan) {
      await attempt(host, id, "take over a machine", () => driver.adopt());
    }
  }
  machines.prune();
  await removeLeftovers(host, machines);
}

/** Destroys VMs that no machine has, and drops logs of machines that are not here. */
async function removeLeftovers(host: Host, machines: Machines): Promise<void> {
  const vms = await host.vmm.list();
  // Looked at after the list and all at one moment: a start's VM is being launched, then stored or being destroyed.
  const known = new Set([...host.store.all()].map((machine) => machine.vmId));
  const leftovers = vms.filter((vmId) => {
    return !known.has(vmId) && !machines.isLaunching(vmId) && !host.teardowns.has(machineOfVm(vmId), vmId);
  });
  for (const vmId of leftovers) {
    host.log.info("destroying a VM that no machine has", { vm_id: vmId });
    await attempt(host, vmId, "destroy a leftover VM", () => host.vmm.destroy(vmId));
  }
  for (const owner of await host.logs.owners()) {
    const state = host.store.get(owner)?.state;
    if (state === undefined || state === "destroyed") {
      await attempt(host, owner, "remove leftover logs", () => host.logs.remove(owner));
    }
  }
}

/** Makes the image cache keep exactly what the machines need. Throws when the cache cannot be reached. */
export async function reconcilePins(host: Host): Promise<void> {
  const pins = wantedPins(host.store.all());
  await host.images.reconcilePins(pins);
  const sent = new Set(pins.map(({ owner }) => owner));
  // A machine placed meanwhile may have been pinned before the cache dropped what was not in the list.
  for (const pin of wantedPins(host.store.all())) {
    if (!sent.has(pin.owner)) await attempt(host, pin.owner, "pin an image", () => host.images.pin(pin));
  }
}

function restore(host: Host, machine: Machine): void {
  if (machine.state === "destroyed") return;
  const launchForMs = Math.max(0, (machine.launchUntilMs ?? 0) - host.clock.now());
  host.ledger.restore(machine.id, machine.spec.resources, {
    launchForMs,
    ...(machine.vmId === undefined ? {} : { vmId: machine.vmId }),
  });
  host.ports.restore(machine.ports);
}

function adopt(host: Host, machines: Machines, machine: Machine): Promise<void> {
  return attempt(host, machine.id, "take over a machine", () => machines.driver(machine.id).adopt());
}

/** One machine that cannot be put right must not keep the others from it; the next sweep tries again. */
async function attempt(host: Host, id: string, what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    host.log.error("could not put a machine right", { id, what, error });
  }
}
