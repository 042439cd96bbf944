import type { MachineState, Service } from "../machines/machine.ts";

/** An app, as proxies know it. */
export interface AppRoute {
  readonly name: string;
  /** Empty: the app is gone. */
  readonly org: string;
  readonly hostnames: readonly string[];
}

/** A machine with services that proxies know. */
export interface MachineRoute {
  readonly id: string;
  readonly app: string;
  /** Empty: the machine is gone. */
  readonly region: string;
  readonly hostNumber: number;
  readonly services: readonly Service[];
  readonly instanceId: string;
  readonly state: MachineState;
  readonly cordoned: boolean;
  /** Decimal. */
  readonly generation: string;
  readonly processGroup: string;
}

/** A host, as proxies reach it. */
export interface HostRoute {
  readonly number: number;
  readonly name: string;
  readonly region: string;
  /** `host:port` of its hostd. */
  readonly address: string;
}

/** Apps, machines and hosts. */
export interface Routes {
  readonly apps: readonly AppRoute[];
  readonly machines: readonly MachineRoute[];
  readonly hosts: readonly HostRoute[];
}

export const NO_ROUTES: Routes = { apps: [], machines: [], hosts: [] };

/** Makes the route of an app that is gone. */
export function goneApp(name: string): AppRoute {
  return { name, org: "", hostnames: [] };
}

/** Makes the route of a machine that is gone. */
export function goneMachine(id: string): MachineRoute {
  return {
    ...{ id, app: "", region: "", hostNumber: 0, services: [], instanceId: "", processGroup: "" },
    ...{ state: "destroyed", cordoned: false, generation: "0" },
  };
}
