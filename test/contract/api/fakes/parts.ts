import type { Machine } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { CallContext } from "../../../../src/lib/grpc/server/rpc.ts";

/** A fake host as its methods see it. */
export interface HostParts<Host> {
  readonly host: Host;
  /** Takes note of a call, and runs its scripts before and after `act`. */
  act<T>(ctx: CallContext, method: string, machineId: string, act: () => T): Promise<T>;
  /** @throws Fault `MACHINE_NOT_FOUND` */
  find(id: string, org: string): Machine;
}
