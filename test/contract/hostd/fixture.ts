import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostServiceClient, HostServiceService } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { SchedulingFile } from "../../../src/hostd/availability/scheduling-file.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import { assembleHost, type GivenParts, type HostSettings } from "../../../src/hostd/hostd.ts";
import type { PullFor, PullStep } from "../../../src/hostd/images/imagecache-client.ts";
import { MachineApi, type MachineApiParts } from "../../../src/hostd/inside/machine-api.ts";
import type { ImageConfig } from "../../../src/hostd/machines/version.ts";
import { reconcileAtStart } from "../../../src/hostd/operations/reconcile.ts";
import { OutboxProgress } from "../../../src/hostd/reports/outbox-progress.ts";
import { hostService } from "../../../src/hostd/service.ts";
import { Store } from "../../../src/hostd/store/store.ts";
import { SimVmm } from "../../../src/hostd/vmm/sim/sim-vmm.ts";
import type { Vmm } from "../../../src/hostd/vmm/vmm.ts";
import type { AuditEntry } from "../../../src/lib/audit/audit-entry.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { fixedSigningKey, generateKeyPair, type SigningKeys } from "../../../src/lib/auth/keys.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import { internalTokens } from "../../../src/lib/auth/tokens.ts";
import { connect } from "../../../src/lib/grpc/client.ts";
import { createServer, serve } from "../../../src/lib/grpc/server/serve.ts";
import { type Clock, systemClock } from "../../../src/lib/runtime/clock.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { SEALING_KEYS } from "../../support/hostd/sealing-keys.ts";
import { calls } from "./calls.ts";
import { HOST_NUMBER } from "./requests.ts";

export const KEYS = generateKeyPair();
export const token = internalTokens(KEYS.privateKey, "test");

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
  readonly limits?: NonNullable<GivenParts["limits"]>;
  readonly images?: FakeImages;
  readonly maxPages?: number;
  readonly latencyMs?: number;
  readonly clock?: Clock;
  /** Of the API inside machines. */
  readonly inside?: Pick<MachineApiParts, "limits">;
  /** REST addresses of apis. */
  readonly apis?: readonly string[];
  /** With which tokens of machines are signed. */
  readonly keys?: SigningKeys;
  /** Wraps the VMM. */
  readonly vmm?: (sim: SimVmm) => Vmm;
  /** Wraps the store. */
  readonly store?: (store: Store) => GivenParts["store"];
}

/** A host in this process, on a folder of its own, with the simulator for a VMM. */
export interface TestHost extends Awaited<ReturnType<typeof startHost>> {}

/** Ports of the hosts of this process: files that run at the same time must not take each other's. */
function ownPorts(): { readonly from: number; readonly to: number } {
  const from = 21_000 + 500 * (Number(process.env["VITEST_POOL_ID"] ?? 0) % 15);
  return { from, to: from + 499 };
}

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
    portRange: ownPorts(),
    logKb: 64,
    orgLogKb: 1_024,
    holdGraceMs: 100,
    startConcurrency: 4,
    startTimeoutMs: 15_000,
    ...options.settings,
  };
  const scheduling = await SchedulingFile.open(dir);
  const revocations = new Revocations();
  const keys = options.keys ?? fixedSigningKey(KEYS.privateKey);
  const clock = options.clock ?? systemClock;
  const inside = new MachineApi({ keys, revocations, clock, apis: options.apis ?? [], ...options.inside });
  const audited: AuditEntry[] = [];
  inside.auditTo({ record: (entry) => void audited.push(entry) });
  const { host, machines, logs } = assembleHost(settings, {
    inside,
    store: options.store?.(store) ?? store,
    vmm: options.vmm?.(sim) ?? sim,
    images,
    scheduling,
    isBanned: (org) => revocations.isSuspended(org),
    disk: { space: undefined },
    delivery: new OutboxProgress(store, systemClock),
    clock,
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
    audited,
    client,
    address: `127.0.0.1:${running.port}`,
    ...calls(client, host),
    /** Closes it as SIGTERM does; VMs go on. */
    async close(keepFolder = false): Promise<void> {
      client.close();
      await running();
      closing.abort();
      inside.close();
      await machines.detach();
      await logs.close();
      await sim.close();
      await store.close();
      if (!keepFolder) folder?.remove();
    },
  };
}
