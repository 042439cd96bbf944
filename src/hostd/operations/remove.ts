import { logger } from "../../lib/runtime/log.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { Ports } from "../capacity/ports.ts";
import type { ImageCacheClient } from "../images/imagecache-client.ts";
import type { LogStore } from "../logs/log-store.ts";
import { destroyed, destroying } from "../machines/change.ts";
import type { Machine } from "../machines/machine.ts";
import { digestsOf } from "../machines/version.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import { killVm } from "./stops/stop-operation.ts";

export interface RemoveReason {
  readonly source: "user" | "hostd";
  readonly message: string;
  /** The log is kept for a moment, so that followers read it to its end. */
  readonly waitsForReaders?: boolean;
}

/** How long they may take. */
const READERS_MS = 5_000;

export interface RemoveParts {
  readonly images: Pick<ImageCacheClient, "unpin">;
  readonly logs: Pick<LogStore, "remove" | "untilRead">;
  readonly ports: Pick<Ports, "release">;
  readonly ledger: Pick<Ledger, "forget">;
  readonly limits: { readonly killMs: number };
}

/**
 * Removes a machine.
 *
 * @throws Fault DISK_FULL: the machine is unchanged, or `destroying`; then the sweep goes on
 */
export async function remove(
  runtime: MachineRuntime,
  parts: RemoveParts,
  why: RemoveReason,
): Promise<Machine> {
  await runtime.intend((machine, at) =>
    machine.state === "destroying" || machine.state === "destroyed"
      ? undefined
      : destroying(machine, why, at),
  );
  if (why.waitsForReaders) await parts.logs.untilRead(runtime.id, READERS_MS);
  return finishRemoval(runtime, parts);
}

/** Goes on with a removal whose intent is stored. */
export async function finishRemoval(runtime: MachineRuntime, parts: RemoveParts): Promise<Machine> {
  const { id } = runtime;
  if (runtime.machine.state === "destroyed") return runtime.machine;
  if (runtime.vm) await killVm(runtime, runtime.vm, parts.limits.killMs);
  const { vmId } = runtime.machine;
  if (vmId !== undefined) await runtime.abandonVm(vmId, "it was destroyed with its machine");
  await runtime.untilTornDown();
  try {
    for (const digest of digestsOf(runtime.machine.spec)) await parts.images.unpin({ digest, owner: id });
  } catch (error) {
    // The sweep removes the pin.
    logger.warn("could not unpin an image", { machine_id: id, error });
  }
  await parts.logs.remove(id);
  const { ports, update } = runtime.machine;
  const machine = await runtime.intend(destroyed);
  parts.ports.release([...ports, ...(update?.previousPorts ?? [])]);
  parts.ledger.forget(id);
  return machine;
}
