import { Machine as WireMachine } from "../../gen/windhover/machines/v1/machine.ts";
import { openStream } from "../../lib/grpc/streams.ts";
import { annotate } from "../../lib/otel/tracing.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import type { Award, CreateHosts } from "../creates/steps/context.ts";
import { configTo } from "../machines/convert-config.ts";
import { machineFrom } from "../machines/convert-machine.ts";
import type { Machine } from "../machines/machine.ts";
import {
  ask,
  bound,
  type ClientLookup,
  fromHost,
  HOST_NAME,
  type HostAddress,
  present,
} from "./hostd-client.ts";

const CREATE_MS = 15_000;
const GET_MS = 5_000;
const START_MS = 120_000;
const DESTROY_MS = 20_000;
/** All of a pull: the create itself is over by then. */
const PREPARE_MS = 14 * 60_000;

/** Calls a host for a create that is under way. */
export function createHosts(clients: ClientLookup): CreateHosts {
  return {
    async create(host, award, scope) {
      annotate(HOST_NAME, host.name);
      const client = clients.at(host.address);
      const request = {
        machine: toMachine(award, host),
        reservationId: award.reservationId,
        epoch: BigInt(award.epoch),
        keepForLaunch: !award.request.skipLaunch,
      };
      return present(
        (await ask(host, client, client.createMachine, request, bound(CREATE_MS, scope))).machine,
        host,
      );
    },
    async prepare(host, machineId, report, scope) {
      const client = clients.at(host.address);
      let machine: Machine | undefined;
      try {
        const limit = bound(PREPARE_MS, scope);
        for await (const message of openStream(client, client.prepareMachine, { machineId }, limit)) {
          if (message.machine) machine = machineFrom(message.machine);
          const { detail, bytesDone, bytesTotal } = message;
          report({ detail, bytesDone: Number(bytesDone), bytesTotal: Number(bytesTotal) });
        }
      } catch (err) {
        throw fromHost(err, host);
      }
      if (machine) return machine;
      throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", `host ${host.name} stopped preparing the machine`, {
        host: host.name,
        host_number: String(host.number),
      });
    },
    async start(host, machineId, scope) {
      const client = clients.at(host.address);
      const request = { machineId, org: "", watch: undefined };
      return present(
        (await ask(host, client, client.startMachine, request, bound(START_MS, scope))).machine,
        host,
      );
    },
    async get(host, machineId, scope) {
      const client = clients.at(host.address);
      const request = { machineId, org: "" };
      return present(
        (await ask(host, client, client.getMachine, request, bound(GET_MS, scope))).machine,
        host,
      );
    },
    async destroy(host, machineId, scope) {
      const client = clients.at(host.address);
      const request = { machineId, org: "", force: true, ignoreMissing: true };
      await ask(host, client, client.destroyMachine, request, bound(DESTROY_MS, scope));
    },
  };
}

function toMachine({ machineId, request, image, createTraceId }: Award, host: HostAddress): WireMachine {
  return WireMachine.fromPartial({
    id: machineId,
    name: request.name,
    app: request.app,
    org: request.org,
    region: request.region,
    host: host.name,
    config: configTo(request.config),
    imageRef: { ...image },
    createTraceId,
  });
}
