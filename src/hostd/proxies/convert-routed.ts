import { RoutedMachine } from "../../gen/windhover/hostd/v1/hostd.ts";
import { stateToProto, statusToProto } from "../convert-machine.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";
import { isMove } from "../machines/stamp.ts";
import type { Proxies } from "./proxies.ts";

/** Tells a proxy that the host does not have a machine. */
export function missingMachine(id: string): RoutedMachine {
  return RoutedMachine.create({ id, missing: true });
}

/** Converts what a proxy must know of a machine. One that is about to be stopped is `stopping`. */
export function routedToProto(
  machine: Machine,
  proxies: Pick<Proxies, "isLeaving" | "isReady">,
): RoutedMachine {
  const status = statusToProto(machine);
  const { generation, instanceId, cordoned, serviceAddresses, lastStartPath, lastStartTraceId } = status;
  const isLeaving = machine.state === "started" && proxies.isLeaving(machine.id);
  const state = isLeaving ? "stopping" : machine.state;
  const newest: MachineEvent | undefined = machine.events.find(isMove);
  return {
    ...{ id: machine.id, missing: false, generation, instanceId, cordoned, serviceAddresses },
    state: stateToProto(state),
    ready: state === "started" && proxies.isReady(machine),
    ...{ lastStartPath, lastStartTraceId },
    lastEventType: newest?.exit?.requestedStop ? "stop" : (newest?.type ?? ""),
  };
}
