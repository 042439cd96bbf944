import { randomBytes } from "node:crypto";
import {
  DestroyMachineRequest,
  type HostServiceClient,
  type PrepareMachineResponse,
  RestartMachineRequest,
  SuspendMachineRequest,
  UpdateMetadataRequest,
  WaitMachineRequest,
} from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { Machine as WireMachine } from "../../../src/gen/windhover/machines/v1/machine.ts";
import type { Host } from "../../../src/hostd/hostd.ts";
import { call, openStream } from "../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { type CreateFields, createRequest, present, type UpdateFields, updateRequest } from "./requests.ts";

const TIMEOUT_MS = 20_000;

/** A lease to acquire or to refresh. */
interface AcquireFields {
  readonly ttlMs?: number;
  readonly nonce?: string;
  readonly owner?: string;
  readonly requestId?: string;
  readonly description?: string;
}

/** The calls of a host, with defaults. */
export function calls(client: HostServiceClient, host: Host) {
  const scope = { timeoutMs: TIMEOUT_MS };
  const hold = (memoryMb = 256, ttlMs = 20_000): { reservationId: string; epoch: bigint } => {
    const reservationId = randomBytes(8).toString("hex");
    const answer = host.ledger.hold(reservationId, { cpus: 1, memoryMb, diskMb: 1_024 }, ttlMs);
    if (answer.kind !== "held") throw new Error(answer.reason);
    return { reservationId, epoch: answer.epoch };
  };
  const create = async (fields: CreateFields = {}): Promise<WireMachine> =>
    present(
      (await call(client, client.createMachine, createRequest(hold(fields.memoryMb), fields), scope)).machine,
    );
  const prepare = async (machineId: string): Promise<PrepareMachineResponse[]> => {
    const messages: PrepareMachineResponse[] = [];
    for await (const message of openStream(
      client,
      client.prepareMachine,
      { machineId, credentials: undefined },
      scope,
    ))
      messages.push(message);
    return messages;
  };
  return {
    hold,
    create,
    prepare,
    /** A machine ready to be started. */
    created: async (fields: CreateFields = {}): Promise<WireMachine> => {
      const { id } = await create(fields);
      return present((await prepare(id)).at(-1)?.machine);
    },
    get: async (machineId: string, org = "") =>
      present((await call(client, client.getMachine, { machineId, org }, scope)).machine),
    start: (machineId: string, fields: { org?: string; watchMs?: number } = {}) =>
      call(
        client,
        client.startMachine,
        {
          ...{ leaseNonce: "", machineId, org: fields.org ?? "", source: "", fromProxy: false },
          watch: durationToProto(fields.watchMs),
        },
        scope,
      ),
    stop: (machineId: string, fields: { signal?: string; timeoutMs?: number } = {}) =>
      call(
        client,
        client.stopMachine,
        {
          ...{ leaseNonce: "", ignoreLease: false, ifUnusedFor: undefined, source: "" },
          machineId,
          org: "",
          signal: fields.signal ?? "",
          timeout: durationToProto(fields.timeoutMs),
        },
        scope,
      ),
    destroy: (machineId: string, fields: { force?: boolean; ignoreMissing?: boolean } = {}) =>
      call(
        client,
        client.destroyMachine,
        {
          ...{ leaseNonce: "", ignoreLease: false, ifUnusedFor: undefined, source: "" },
          machineId,
          org: "",
          force: fields.force ?? false,
          ignoreMissing: fields.ignoreMissing ?? false,
        },
        scope,
      ),
    /** Destroys a machine whoever holds its lease. */
    destroyLeased: (machineId: string) =>
      call(
        client,
        client.destroyMachine,
        DestroyMachineRequest.create({ machineId, force: true, ignoreLease: true }),
        scope,
      ),
    suspend: (machineId: string, fields: Partial<SuspendMachineRequest> = {}) =>
      call(client, client.suspendMachine, SuspendMachineRequest.create({ machineId, ...fields }), scope),
    getHost: () => call(client, client.getHost, {}, scope),
    restart: (machineId: string, fields: Partial<RestartMachineRequest> = {}) =>
      call(client, client.restartMachine, RestartMachineRequest.create({ machineId, ...fields }), scope),
    acquire: async (machineId: string, fields: AcquireFields = {}) => {
      const { ttlMs = 60_000, owner = "ann", nonce = "", requestId = "", description = "deploy" } = fields;
      const lease = { ttl: durationToProto(ttlMs), owner, description, requestId };
      return present(
        (await call(client, client.acquireLease, { machineId, org: "", lease, nonce }, scope)).lease,
      );
    },
    update: (machineId: string, fields: UpdateFields = {}) =>
      call(client, client.updateMachine, updateRequest(machineId, fields), scope),
    metadata: (
      machineId: string,
      { set = {}, ...fields }: Partial<Omit<UpdateMetadataRequest, "set">> & { set?: Record<string, string> },
    ) => {
      const entries = new Map(Object.entries(set));
      const request = UpdateMetadataRequest.create({ machineId, ...fields, set: entries });
      return call(client, client.updateMetadata, request, scope);
    },
    wait: (machineId: string, fields: Partial<WaitMachineRequest>) =>
      call(client, client.waitMachine, WaitMachineRequest.create({ machineId, ...fields }), scope),
  };
}
