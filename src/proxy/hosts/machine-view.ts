import type { MachineState } from "../machines/machine-state.ts";

/** Where a service of a machine is reached. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a host has told of a machine. */
export interface MachineView {
  readonly state: MachineState;
  readonly generation: number;
  readonly instanceId: string;
  readonly ready: boolean;
  readonly cordoned: boolean;
  /** Of TCP services, by port of the guest. */
  readonly addresses: ReadonlyMap<number, Address>;
  /** How its last run ended. */
  readonly lastEventType: string;
  /** Of its last start. Empty: its host does not tell. */
  readonly startPath: string;
  readonly startTraceId: string;
}

/** A message of a host. */
export interface HostNews {
  readonly machines: readonly { readonly id: string; readonly view: MachineView }[];
  readonly usedIds: readonly string[];
  /** In the first message. */
  readonly lostUseMs: number | undefined;
}

/** A message to a host. Absent parts are empty. */
export interface HostOrders {
  readonly proxyId?: string;
  readonly watch?: readonly string[];
  readonly unwatch?: readonly string[];
  readonly use?: readonly string[];
  readonly released?: readonly { readonly machineId: string; readonly unusedMs: number }[];
}
