import type {
  Autostop,
  CompleteConcurrency,
  CompleteTls,
  Handler,
} from "../../lib/service-config/defaults.ts";
import type { MachineState } from "../machines/machine-state.ts";
import type { HttpSettings } from "../route.ts";

/** An app and the host names that it has besides those of the fleet's domains. */
export interface AppRoute {
  readonly name: string;
  readonly org: string;
  readonly hostnames: readonly string[];
}

export interface HostRoute {
  readonly number: number;
  readonly name: string;
  readonly region: string;
  /** Of its hostd. */
  readonly address: string;
}

/** A machine with services. */
export interface MachineRoute {
  readonly id: string;
  readonly app: string;
  readonly region: string;
  readonly hostNumber: number;
  readonly services: readonly ServiceRoute[];
  readonly instanceId: string;
  /** As the database knows it; the host knows better. */
  readonly state: MachineState;
  readonly cordoned: boolean;
  readonly generation: number;
  readonly processGroup: string;
}

export interface ServiceRoute {
  readonly protocol: string;
  readonly internalPort: number;
  readonly ports: readonly PortRoute[];
  readonly autostart: boolean;
  readonly autostop: Autostop;
  readonly minMachinesRunning: number;
  readonly concurrency: CompleteConcurrency;
  readonly idleTimeoutMs: number;
  readonly wakeTimeoutMs: number;
}

/** Ports of proxies, and what happens with connections to them. */
export interface PortRoute {
  readonly first: number;
  readonly last: number;
  readonly handlers: readonly Handler[];
  readonly forceHttps: boolean;
  readonly tls: CompleteTls;
  /** As a list, so that the file can have it. */
  readonly http: Omit<HttpSettings, "responseHeaders"> & {
    readonly responseHeaders: readonly (readonly [name: string, value: string])[];
  };
  readonly proxyProto: "v1" | "v2";
}

/** All routes at a position. */
export interface Routes {
  readonly position: string;
  readonly apps: readonly AppRoute[];
  readonly machines: readonly MachineRoute[];
  readonly hosts: readonly HostRoute[];
  /** Who has which port of proxies, as the file knows it: see PortOwners. */
  readonly ports?: readonly (readonly [port: number, app: string])[] | undefined;
}

/** What has changed, up to a position. */
export interface RoutesChange extends Routes {
  readonly goneApps: readonly string[];
  readonly goneMachines: readonly string[];
}
