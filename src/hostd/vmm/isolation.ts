import { Fault } from "../../lib/faults/fault.ts";
import type { Acceleration } from "./qemu/process/command-line.ts";
import type { Confinement } from "./qemu/process/confinement.ts";
import type { VmmInfo } from "./vmm.ts";

/** What a host claims, and why it claims no more; "" for `hardware`. */
export interface IsolationClaim {
  readonly isolation: VmmInfo["isolation"];
  readonly why: string;
}

/**
 * Decides what a host may claim. `hardware` takes the processor's virtualisation and all of the confinement: a guest that breaks out of
 * its VM must find nothing there.
 */
export function claimIsolation(
  acceleration: Acceleration,
  confinement: Pick<Confinement, "hasNamespace" | "hasUid" | "shortfall">,
): IsolationClaim {
  const why = [
    ...(acceleration === "kvm" ? [] : ["VMs are emulated"]),
    ...(isFull(confinement) ? [] : [`QEMU is not fully confined: ${lack(confinement)}`]),
  ].join("; ");
  return { isolation: why === "" ? "hardware" : "development", why };
}

/** Makes the fault of a host that must not run without isolation by hardware. */
export function isolationMissing(why: string): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "ISOLATION_UNAVAILABLE",
    `HOSTD_REQUIRE_ISOLATION=hardware, and this host offers only development: ${why}. Use a host with a working /dev/kvm, bubblewrap and hostd as root, or unset it to run trusted images only`,
    { required: "hardware", offered: "development" },
  );
}

function isFull({ hasNamespace, hasUid }: Pick<Confinement, "hasNamespace" | "hasUid">): boolean {
  return hasNamespace && hasUid;
}

function lack({ hasNamespace, shortfall }: Pick<Confinement, "hasNamespace" | "shortfall">): string {
  if (shortfall !== "") return shortfall;
  return hasNamespace ? "hostd is not root, so VMs have no uid of their own" : "there is no mount namespace";
}
