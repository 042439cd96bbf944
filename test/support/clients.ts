import { HostsServiceClient, ReservationsServiceClient } from "../../src/gen/windhover/admin/v1/hosts.ts";
import { OrganizationsServiceClient } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { AppsServiceClient } from "../../src/gen/windhover/machines/v1/apps.ts";
import { LeasesServiceClient } from "../../src/gen/windhover/machines/v1/leases.ts";
import {
  type InitConfig,
  type Machine,
  MachineConfig,
  type MachineState as State,
} from "../../src/gen/windhover/machines/v1/machine.ts";
import {
  type CreateMachineRequest,
  ListMachinesRequest,
  MachinesServiceClient,
  StartMachineRequest,
  StopMachineRequest,
  WaitMachineRequest,
} from "../../src/gen/windhover/machines/v1/machines.ts";
import { call, connect, openStream } from "../../src/lib/grpc/client.ts";
import { mapToProto } from "../../src/lib/grpc/messages/maps.ts";

export type { Machine };

/** A create; what is left out has its default. */
export type CreateOptions = Pick<CreateMachineRequest, "app" | "config"> & Partial<CreateMachineRequest>;

/** Longer than a cold start in emulation on a loaded machine. */
const TIMEOUT_MS = 120_000;

/** The public API as a user's program sees it: generated clients, a token, deadlines. Close it at the end. */
export function clientsOf(address: string, token: string) {
  const options = { token: () => token };
  const machines = connect(MachinesServiceClient, address, options);
  const leases = connect(LeasesServiceClient, address, options);
  const apps = connect(AppsServiceClient, address, options);
  const orgs = connect(OrganizationsServiceClient, address, options);
  const hosts = connect(HostsServiceClient, address, options);
  const auctions = connect(ReservationsServiceClient, address, options);
  const scope = (timeoutMs = TIMEOUT_MS) => ({ timeoutMs });
  return {
    raw: { machines, leases, apps, orgs, hosts },
    createApp: (name: string) =>
      call(apps, apps.createApp, { network: "", name, org: "", requestId: "" }, scope()),
    async create(request: CreateOptions, timeoutMs?: number): Promise<Machine> {
      const whole = {
        name: "",
        region: "",
        skipLaunch: false,
        cordoned: false,
        requestId: "",
        placement: undefined,
        leaseTtl: undefined,
        ...request,
      };
      return present((await call(machines, machines.createMachine, whole, scope(timeoutMs))).machine);
    },
    start: (id: string, timeoutMs?: number) =>
      call(
        machines,
        machines.startMachine,
        StartMachineRequest.fromPartial({ machineId: id }),
        scope(timeoutMs),
      ),
    stop: (id: string, request: Partial<StopMachineRequest> = {}) =>
      call(
        machines,
        machines.stopMachine,
        StopMachineRequest.fromPartial({ machineId: id, ...request }),
        scope(),
      ),
    destroy: (id: string, force = false) =>
      call(machines, machines.destroyMachine, { leaseNonce: "", machineId: id, force }, scope()),
    async get(id: string): Promise<Machine> {
      return present((await call(machines, machines.getMachine, { machineId: id }, scope(10_000))).machine);
    },
    async list(app: string, states: State[] = []): Promise<readonly Machine[]> {
      const request = ListMachinesRequest.fromPartial({ app, states, pageSize: 1_000 });
      return (await call(machines, machines.listMachines, request, scope(10_000))).machines;
    },
    async wait(id: string, states: State[], timeoutMs = 60_000): Promise<Machine> {
      const timeout = { seconds: BigInt(Math.ceil(timeoutMs / 1_000)), nanos: 0 };
      const request = WaitMachineRequest.fromPartial({ machineId: id, states, timeout });
      return present((await call(machines, machines.waitMachine, request, scope(timeoutMs + 5_000))).machine);
    },
    async logs(id: string): Promise<readonly string[]> {
      const request = { machineId: id, follow: false, tail: undefined, since: undefined, afterSequence: 0n };
      const lines: string[] = [];
      for await (const batch of openStream(machines, machines.streamLogs, request, scope(20_000))) {
        lines.push(...batch.entries.map((entry) => entry.text));
      }
      return lines;
    },
    async hosts() {
      return (await call(hosts, hosts.listHosts, { region: "" }, scope(10_000))).hosts;
    },
    async reservations() {
      const request = { region: "", pageSize: 0, pageToken: "" };
      return (await call(auctions, auctions.listReservations, request, scope(10_000))).reservations;
    },
    close(): void {
      for (const client of [machines, leases, apps, orgs, hosts, auctions]) client.close();
    },
  };
}

export type Clients = ReturnType<typeof clientsOf>;

type Texts = Readonly<Record<string, string>>;

/** Fields of a configuration, as a test writes them. */
export type ConfigFields = Partial<Omit<MachineConfig, "init" | "env" | "metadata">> & {
  readonly init?: Partial<InitConfig>;
  readonly env?: Texts;
  readonly metadata?: Texts;
};

/** A configuration with defaults for what a test does not care about. */
export function configOf(image: string, { init, env, metadata, ...rest }: ConfigFields = {}): MachineConfig {
  const whole = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", tty: false, ...init };
  const maps = { env: mapToProto(env), metadata: mapToProto(metadata) };
  return { ...MachineConfig.create(), image, ...maps, ...rest, ...(init ? { init: whole } : {}) };
}

function present(machine: Machine | undefined): Machine {
  if (machine === undefined) throw new Error("the answer holds no machine");
  return machine;
}
