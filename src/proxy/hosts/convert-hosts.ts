import type {
  AttachProxyRequest,
  AttachProxyResponse,
  RoutedMachine,
} from "../../gen/windhover/hostd/v1/hostd.ts";
import { durationFromProto, durationToProto } from "../../lib/grpc/messages/duration.ts";
import { stateFromProto } from "../convert-state.ts";
import type { Address, HostNews, HostOrders, MachineView } from "./machine-view.ts";

export function ordersToProto(orders: HostOrders): AttachProxyRequest {
  return {
    proxyId: orders.proxyId ?? "",
    watchIds: [...(orders.watch ?? [])],
    unwatchIds: [...(orders.unwatch ?? [])],
    useIds: [...(orders.use ?? [])],
    released: (orders.released ?? []).map(({ machineId, unusedMs }) => ({
      machineId,
      unusedFor: durationToProto(unusedMs),
    })),
  };
}

export function newsFromProto({ machines, usedIds, lostUseTime }: AttachProxyResponse): HostNews {
  return {
    machines: machines.map((machine) => ({ id: machine.id, view: viewFromProto(machine) })),
    usedIds,
    lostUseMs: durationFromProto(lostUseTime),
  };
}

function viewFromProto(machine: RoutedMachine): MachineView {
  const { missing, instanceId, ready, cordoned, serviceAddresses, lastEventType } = machine;
  const { lastStartPath: startPath, lastStartTraceId: startTraceId } = machine;
  const addresses = new Map<number, Address>();
  for (const { protocol, internalPort, address } of serviceAddresses) {
    const parsed = protocol === "udp" ? undefined : parseAddress(address);
    if (parsed) addresses.set(internalPort, parsed);
  }
  return {
    state: missing ? "missing" : stateFromProto(machine.state),
    generation: Number(machine.generation),
    ...{ instanceId, ready, cordoned, addresses, lastEventType, startPath, startTraceId },
  };
}

function parseAddress(address: string): Address | undefined {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(address) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}
