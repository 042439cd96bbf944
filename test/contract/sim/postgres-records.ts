import fc from "fast-check";
import type { CreateRequest } from "../../../src/api/creates/store/create-state.ts";
import type { Intent } from "../../../src/api/creates/store/intent-store.ts";
import type { StoredSaga } from "../../../src/api/creates/store/stored-saga.ts";
import { type MachineId, parseMachineId } from "../../../src/api/machines/ids/machine-id.ts";
import type { Machine, MachineEvent, MachineState } from "../../../src/api/machines/machine.ts";

/** Few of each, so that calls meet. Longer than any pause of a busy machine, or over. */
const LEASES_MS = [60_000, -60_000] as const;
export const CREATES = [
  "00000000-0000-4000-8000-000000000001",
  "00000000-0000-4000-8000-000000000002",
] as const;
export const OWNERS = [
  "00000000-0000-4000-8000-00000000000a",
  "00000000-0000-4000-8000-00000000000b",
] as const;
export const MACHINES = ["00001000000001", "00001000000002", "00002000000003"] as const;
export const STATES: readonly MachineState[] = ["created", "started", "destroying", "destroyed"];

export const create = fc.constantFrom(...CREATES);
export const owner = fc.constantFrom(...OWNERS);
export const machineId = fc.constantFrom(...MACHINES);
export const leaseMs = fc.constantFrom(...LEASES_MS);

export function intent(
  id: string,
  by: string,
  ms: number,
  name: string,
  requestId: string | undefined,
  memoryMb: number,
): Intent {
  return {
    ...{
      id,
      request: request(name, memoryMb),
      requestHash: Buffer.from(name),
      traceparent: "",
      owner: by,
      leaseMs: ms,
    },
    ...(requestId === undefined ? {} : { requestId }),
    makeName: () => name,
  };
}

function request(name: string, memoryMb: number): CreateRequest {
  const guest = { cpuKind: "shared", cpus: 1, memoryMb } as const;
  const stop = { signal: "", timeoutMs: 5_000 };
  const config = { image: "nginx", guest, env: {}, services: [], stop, metadata: {} };
  return { org: "acme", app: "web", name, regions: ["ord"], regionAsked: "", config, skipLaunch: false };
}

export function attempt(id: string) {
  const hostNumber = Number.parseInt(id.slice(0, 5), 16);
  const offer = { hostNumber, hostName: `host-${hostNumber}`, hostAddress: "", epoch: "1" };
  return { machineId: id, reservationId: "r", region: "ord", offer, outcome: "asked", reason: "" } as const;
}

export function machine(id: string, state: MachineState, generation: number): Machine {
  const { config } = request("m1", 256);
  return {
    ...{
      id,
      name: "m1",
      state,
      generation: String(generation),
      instanceId: `01HF7YAT00ABCDEFGHJKMNPQR${generation}`,
      app: "web",
      org: "acme",
      region: "ord",
      host: "h",
    },
    ...{
      config,
      createTimeMs: 1,
      updateTimeMs: 2,
      events: [event(`of-${generation}`)],
      serviceAddresses: [],
    },
    ...{ lastStartPath: "", lastStartTraceId: "", createTraceId: "" },
    imageRef: { registry: "r", repository: "nginx", tag: "", digest: "sha256:d" },
    imageBytes: 1_048_576 * ((MACHINES as readonly string[]).indexOf(id) + 1),
  };
}

export function event(id: string): MachineEvent {
  return { id, type: "start", status: "started", source: "user", timeMs: 3, message: "", reason: "" };
}

export function progress(sequence: number, status: "running" | "done") {
  return { sequence, step: "resolve", status, detail: "", bytesDone: 1, bytesTotal: 2, timeMs: 4 } as const;
}

export const ENTRY = {
  ...{ name: "h", region: "ord", zone: "a", address: "h:1", capacity: { cpus: 1, memoryMb: 1, diskMb: 1 } },
  ...{ vmm: "sim", acceleration: "none", isolation: "development", vmmReason: "", labels: {}, lastSeenMs: 5 },
};

/** An id of a machine, parsed. */
export function idOf(text: string): MachineId {
  const id = parseMachineId(text);
  if (!id) throw new Error(`${text} is no machine id`);
  return id;
}

/** A saga without the time at which it began. */
export function comparable({ createTime: _, ...saga }: StoredSaga) {
  return saga;
}

/** In the order of their ids. */
export function sorted<T extends { readonly id: string }>(some: readonly T[]): readonly T[] {
  return some.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
