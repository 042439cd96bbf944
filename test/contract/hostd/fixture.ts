import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateMachineRequest,
  DestroyMachineRequest,
  HostServiceClient,
  HostServiceService,
  type NewLease,
  type PrepareMachineResponse,
  RestartMachineRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
  WaitMachineRequest,
} from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { Machine as WireMachine } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { SchedulingFile } from "../../../src/hostd/availability/scheduling-file.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import { assembleHost, type GivenParts, type Host, type HostSettings } from "../../../src/hostd/hostd.ts";
import type { PullFor, PullStep } from "../../../src/hostd/images/imagecache-client.ts";
import type { ImageConfig } from "../../../src/hostd/machines/machine.ts";
import { reconcileAtStart } from "../../../src/hostd/operations/reconcile.ts";
import { OutboxProgress } from "../../../src/hostd/reports/outbox-progress.ts";
import { hostService } from "../../../src/hostd/service.ts";
import { Store } from "../../../src/hostd/store/store.ts";
import { SimVmm } from "../../../src/hostd/vmm/sim/sim-vmm.ts";
import type { Vmm } from "../../../src/hostd/vmm/vmm.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import { internalTokens } from "../../../src/lib/auth/tokens.ts";
import { call, connect, openStream } from "../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { createServer, serve } from "../../../src/lib/grpc/server/serve.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { SEALING_KEYS } from "../../support/hostd/sealing-keys.ts";

const HOST_NUMBER = 7;
export const KEYS = generateKeyPair();
export const token = internalTokens(KEYS.privateKey, "test");
export const DIGEST = `sha256:${"d".repeat(64)}`;
const TIMEOUT_MS = 20_000;

createLogger("test", { write: () => {} });

/** An image cache in memory. */
export class FakeImages {
  readonly pins = new Set<string>();
  config: ImageConfig = {
    entrypoint: ["/bin/server"],
    cmd: ["--listen"],
    env: ["A=image", "B=image"],
    user: "",
    workingDir: "",
    stopSignal: "SIGTERM",
  };
  /** Thrown by every call while set. */
  fault: Error | undefined;
  /** Size of the root file system. */
  sizeBytes = 4_096;
  /** Waited for before an image is ready. */
  gate: Promise<void> = Promise.resolve();

  async *ensure(ref: { digest: string }, { owner }: PullFor, signal: AbortSignal): AsyncGenerator<PullStep> {
    if (this.fault) throw this.fault;
    yield { kind: "progress", detail: "pulling 1 of 1 layers", bytesDone: 1n, bytesTotal: 2n };
    await Promise.race([this.gate, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    signal.throwIfAborted();
    this.pins.add(`${ref.digest} ${owner}`);
    const image = { rootfs: "/images/x.squashfs", config: this.config, sizeBytes: this.sizeBytes };
    yield { kind: "ready", image, wasLocal: false };
  }

  async pin({ digest, owner }: { digest: string; owner: string }): Promise<void> {
    if (this.fault) throw this.fault;
    this.pins.add(`${digest} ${owner}`);
  }

  async unpin({ digest, owner }: { digest: string; owner: string }): Promise<void> {
    if (this.fault) throw this.fault;
    this.pins.delete(`${digest} ${owner}`);
  }

  async reconcilePins(pins: readonly { digest: string; owner: string }[]): Promise<void> {
    if (this.fault) throw this.fault;
    this.pins.clear();
    for (const { digest, owner } of pins) this.pins.add(`${digest} ${owner}`);
  }
}

/** Options of a test's host. */
export interface TestHostOptions {
  readonly dir?: string;
  readonly settings?: Partial<HostSettings>;
  readonly limits?: Partial<Host["limits"]>;
  readonly images?: FakeImages;
  readonly maxPages?: number;
  readonly latencyMs?: number;
  /** Wraps the VMM. */
  readonly vmm?: (sim: SimVmm) => Vmm;
  /** Wraps the store. */
  readonly store?: (store: Store) => GivenParts["store"];
}

/** A host in this process, on a folder of its own, with the simulator for a VMM. */
export interface TestHost extends Awaited<ReturnType<typeof startHost>> {}

/** A folder for a host. */
export function hostFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "wh-hostd-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts a host. A second one on the same folder is the same host after a restart. */
export async function startHost(options: TestHostOptions = {}) {
  const folder = options.dir === undefined ? hostFolder() : undefined;
  const dir = options.dir ?? folder?.path ?? "";
  const closing = new AbortController();
  const images = options.images ?? new FakeImages();
  const sim = new SimVmm({ dir: join(dir, "sim"), latencyMs: options.latencyMs ?? 0 });
  const { maxPages } = options;
  const onDeath = (err: Error): void => {
    throw err;
  };
  const data = { path: join(dir, "state.db"), keys: SEALING_KEYS, ...(maxPages ? { maxPages } : {}) };
  const store = await Store.open({ ...data, onDeath });
  const settings: HostSettings = {
    number: HOST_NUMBER,
    dir,
    capacity: { cpus: 8, memoryMb: 2_048, diskMb: 16_384 },
    portRange: { from: 21_000, to: 28_999 },
    logKb: 64,
    orgLogKb: 1_024,
    holdGraceMs: 100,
    startConcurrency: 4,
    startTimeoutMs: 15_000,
    ...options.settings,
  };
  const scheduling = await SchedulingFile.open(dir);
  const revocations = new Revocations();
  const { host, machines, logs } = assembleHost(settings, {
    store: options.store?.(store) ?? store,
    vmm: options.vmm?.(sim) ?? sim,
    images,
    scheduling,
    isBanned: (org) => revocations.isSuspended(org),
    disk: { space: undefined },
    delivery: new OutboxProgress(store, systemClock),
    clock: systemClock,
    closing: closing.signal,
    onDeath,
    limits: { killMs: 200, ...options.limits },
  });
  await reconcileAtStart(host, machines);
  const identity: HostIdentity = {
    number: HOST_NUMBER,
    name: "host-7",
    identity: store.identity,
    region: "ord",
    zone: "a",
    address: "127.0.0.1:1",
    capacity: settings.capacity,
    labels: {},
    vmm: sim.info,
  };
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
  server.addService(
    HostServiceService,
    hostService({
      ...{ identity, host, machines, logs, load: () => 0.5, outbox: store, scheduling, revocations },
    }),
  );
  const running = await serve(server, "127.0.0.1:0", 100);
  const client = connect(HostServiceClient, `127.0.0.1:${running.port}`, { token, ownConnection: true });
  return {
    dir,
    host,
    machines,
    logs,
    store,
    sim,
    images,
    revocations,
    client,
    address: `127.0.0.1:${running.port}`,
    ...calls(client, host),
    /** Closes it as SIGTERM does; VMs go on. */
    async close(keepFolder = false): Promise<void> {
      client.close();
      await running();
      closing.abort();
      await machines.detach();
      await logs.close();
      await sim.close();
      await store.close();
      if (!keepFolder) folder?.remove();
    },
  };
}

/** A new id of a machine of the test's host. */
export function newId(host: number = HOST_NUMBER): string {
  return host.toString(16).padStart(5, "0") + randomBytes(5).toString("hex").slice(0, 9);
}

interface UpdateFields extends Partial<Omit<UpdateMachineRequest, "config" | "imageRef">> {
  readonly exec?: readonly string[];
  readonly memoryMb?: number;
  readonly digest?: string;
  readonly config?: object;
}

/** A request to replace the configuration by one of the same image. */
function updateRequest(machineId: string, fields: UpdateFields): UpdateMachineRequest {
  const { exec, memoryMb = 256, digest = DIGEST, config = {}, ...rest } = fields;
  return UpdateMachineRequest.fromPartial({
    machineId,
    ...rest,
    imageRef: { registry: "registry.test", repository: "nginx", tag: "latest", digest },
    config: {
      image: "nginx",
      guest: { cpuKind: "shared", cpus: 1, memoryMb },
      ...(exec ? { init: { exec: [...exec] } } : {}),
      ...config,
    },
  });
}

interface CreateFields {
  readonly id?: string;
  readonly exec?: string[];
  readonly memoryMb?: number;
  readonly config?: object;
  readonly keepForLaunch?: boolean;
  readonly lease?: NewLease;
}

/** A request to create a small machine. */
export function createRequest(
  hold: { reservationId: string; epoch: bigint },
  fields: CreateFields = {},
): CreateMachineRequest {
  return CreateMachineRequest.fromPartial({
    machine: {
      id: fields.id ?? newId(),
      name: "web-1",
      app: "web",
      org: "acme",
      region: "ord",
      config: {
        image: "nginx",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: fields.memoryMb ?? 256 },
        ...(fields.exec ? { init: { exec: fields.exec } } : {}),
        ...fields.config,
      },
      imageRef: { registry: "registry.test", repository: "nginx", tag: "latest", digest: DIGEST },
      createTraceId: "c".repeat(32),
    },
    reservationId: hold.reservationId,
    epoch: hold.epoch,
    keepForLaunch: fields.keepForLaunch ?? false,
    ...(fields.lease ? { lease: fields.lease } : {}),
  });
}

function calls(client: HostServiceClient, host: Host) {
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
        { leaseNonce: "", machineId, org: fields.org ?? "", watch: durationToProto(fields.watchMs) },
        scope,
      ),
    stop: (machineId: string, fields: { signal?: string; timeoutMs?: number } = {}) =>
      call(
        client,
        client.stopMachine,
        {
          leaseNonce: "",
          ignoreLease: false,
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
          leaseNonce: "",
          ignoreLease: false,
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
    getHost: () => call(client, client.getHost, {}, scope),
    restart: (machineId: string, fields: Partial<RestartMachineRequest> = {}) =>
      call(client, client.restartMachine, RestartMachineRequest.create({ machineId, ...fields }), scope),
    acquire: async (machineId: string, fields: { ttlMs?: number; nonce?: string; owner?: string } = {}) => {
      const { ttlMs = 60_000, owner = "ann", nonce = "" } = fields;
      const lease = { ttl: durationToProto(ttlMs), owner, description: "deploy" };
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

/** A value that must be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is missing");
  return value;
}
