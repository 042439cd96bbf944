import type { AttachProxyRequest, AttachProxyResponse } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { AttachRequest } from "../../../src/gen/windhover/scheduler/v1/attach.ts";
import { bid } from "../../../src/hostd/capacity/bid.ts";
import type { Ledger, LedgerOptions } from "../../../src/hostd/capacity/ledger.ts";
import { Checks } from "../../../src/hostd/checks/checks.ts";
import { hostInfoToProto, statusToProto } from "../../../src/hostd/convert-host.ts";
import { DEFAULT_LIMITS, type Host } from "../../../src/hostd/hostd.ts";
import { type Ids, machineOfVm } from "../../../src/hostd/machines/ids.ts";
import type { Change, Machine } from "../../../src/hostd/machines/machine.ts";
import type { Resources } from "../../../src/hostd/machines/version.ts";
import { StartQueue } from "../../../src/hostd/operations/launch/start-queue.ts";
import type { Machines, MachinesParts } from "../../../src/hostd/operations/machines.ts";
import { reconcileAtStart, sweep } from "../../../src/hostd/operations/reconcile.ts";
import { Teardowns } from "../../../src/hostd/operations/teardowns.ts";
import { UnderWay } from "../../../src/hostd/operations/under-way.ts";
import type { Proxies } from "../../../src/hostd/proxies/proxies.ts";
import { proxyAttachments } from "../../../src/hostd/proxies/service-proxies.ts";
import type { UsesOptions } from "../../../src/hostd/proxies/uses.ts";
import { reportToProto } from "../../../src/hostd/reports/convert-report.ts";
import { Outbox, type ReportsApi } from "../../../src/hostd/reports/outbox.ts";
import { OutboxProgress } from "../../../src/hostd/reports/outbox-progress.ts";
import { answerBid } from "../../../src/hostd/scheduler-link/stream-client.ts";
import type { Store } from "../../../src/hostd/store/store.ts";
import { backoffMs } from "../../../src/lib/runtime/backoff.ts";
import { startLoop } from "../../../src/lib/runtime/lifecycle.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { Histories } from "../machines/histories.ts";
import { Disk } from "../stores/disk.ts";
import type { Network } from "../world/network.ts";
import { type Life, Process, type World } from "../world/world.ts";
import { hostHandlers } from "./host-service.ts";
import { ImageCache } from "./images.ts";
import type { SavedVms } from "./saved.ts";
import { openStream, type Server } from "./streams.ts";
import { Vms } from "./vms.ts";

/** As configured by default, beyond the TTL of a reservation. */
const GRACE_MS = 1_000;
const STATUS_MS = 5_000;
const SWEEP_MS = 60_000;
const ANNOUNCE_MS = 5_000;
const LIMITS = { ...DEFAULT_LIMITS, launchMs: 60_000 };

/** What a host is told of the world around it. */
export interface HostSurroundings {
  readonly net: Network;
  readonly schedulers: readonly Process[];
  readonly serverOf: (life: Life) => Server | undefined;
  readonly apis: readonly Process[];
  readonly histories: Histories;
  /** The real ids and machines of a life, or ones whose guard is broken. */
  readonly ids: (machines: Iterable<Machine>) => Ids;
  readonly machines: (parts: MachinesParts) => Machines;
  readonly proxies: (options: UsesOptions) => Proxies;
  /** The saved VMs of a host, or ones that are not kept as they must be. */
  readonly saved: () => SavedVms;
  /** A ledger of a life: the real one, or one whose guard is broken. */
  readonly ledger: (life: Life, options: LedgerOptions) => Ledger;
}

/** A life of hostd. */
interface Present {
  readonly life: Life;
  readonly host: Host;
  readonly store: Store;
  isServing: boolean;
  readonly proxies: Server<AttachProxyRequest, AttachProxyResponse>;
}

/** One host: what it keeps across the lives of hostd, and the life it has. */
export class SimHost {
  readonly number: number;
  readonly name: string;
  readonly capacity: Resources;
  readonly process: Process;
  readonly disk: Disk;
  readonly vms: Vms;
  readonly images: ImageCache;
  /** What lives now. Undefined while hostd is down. */
  now: Present | undefined;
  /** Called when a change of a machine is about to be stored. */
  onChanging: (change: Change) => void = () => {};
  readonly #surroundings: HostSurroundings;

  constructor(world: World, number: number, capacity: Resources, surroundings: HostSurroundings) {
    this.number = number;
    this.name = `host-${number}`;
    this.capacity = capacity;
    this.disk = new Disk(world, this.name);
    this.vms = new Vms(world, this.name, surroundings.saved());
    this.images = new ImageCache(world, this.name);
    this.#surroundings = surroundings;
    this.process = new Process(world, this.name, (life) => void this.#live(life));
    this.vms.onRun = (vmId, begins) => this.#runs(vmId, begins);
    this.vms.onMisuse = (what) => surroundings.histories.misused(what);
  }

  #runs(vmId: string, begins: boolean): void {
    const { histories } = this.#surroundings;
    const id = machineOfVm(vmId);
    const others = this.vms.runningOf(id).filter((other) => other !== vmId);
    histories.runs(vmId, others);
    const { FLY_MACHINE_VERSION: version = "" } = this.vms.running(vmId) ?? {};
    if (begins) histories.begins(vmId, version, this.now?.store.get(id));
  }

  async #live(life: Life): Promise<void> {
    const { net, ledger, histories, ids } = this.#surroundings;
    const { clock } = life.process;
    const store = this.disk.open(life, {
      changing: (before, change) => {
        histories.changing(life, before, change);
        this.onChanging(change);
      },
      stored: (change) => histories.stored(change),
    });
    const { incarnation } = store;
    const delivery = new OutboxProgress(store, clock);
    const proxies = this.#surroundings.proxies({ lostUseMs: LIMITS.lostUseMs, clock });
    const closing = new AbortController().signal;
    const host: Host = {
      number: this.number,
      store,
      vmm: this.vms.open(life),
      ledger: ledger(life, { capacity: this.capacity, incarnation, graceMs: GRACE_MS, clock }),
      starts: new StartQueue({ concurrency: 4, maxWaiting: 16 }),
      scheduling: { current: "open" },
      disk: { space: undefined },
      delivery,
      isBanned: () => false,
      ...{ stopsUnderWay: new UnderWay(), suspendsUnderWay: new UnderWay() },
      teardowns: new Teardowns(),
      images: this.images.open(life),
      logs: {
        sink: () => ({ onLog: () => {} }),
        untilRead: async () => {},
        remove: async () => {},
        owners: async () => [],
      },
      ports: {
        allocate: async () => [],
        confirm: async (_services, ports) => ports,
        restore: () => {},
        release: () => {},
      },
      clock,
      ids: ids(store.all()),
      limits: LIMITS,
      proxies,
      checks: new Checks({ clock, proxies, closing }),
      closing,
    };
    const machines = this.#surroundings.machines(host);
    const serve = proxyAttachments(host);
    const present: Present = {
      life,
      host,
      store,
      isServing: false,
      proxies: { serve: (wire) => serve(wire) },
    };
    this.now = present;
    life.onDeath(() => {
      if (this.now === present) this.now = undefined;
    });
    await reconcileAtStart(host, machines);
    this.#deliver(life, store, delivery);
    // As in src/hostd/background.ts.
    startLoop(SWEEP_MS, SWEEP_MS / 10, () => sweep(host, machines), { name: "sweep" });
    net.serve(life, hostHandlers({ machines, store, clock, histories, hello: this.#identity(store) }));
    present.isServing = true;
    for (const scheduler of this.#surroundings.schedulers) void this.#attach(life, host, store, scheduler);
    for (const api of this.#surroundings.apis) {
      const announce = () =>
        net.call(api, "announce", this.#identity(store), { timeoutMs: 3_000 }).catch(() => undefined);
      startLoop(ANNOUNCE_MS, ANNOUNCE_MS / 10, announce, { name: "announce" });
    }
  }

  #deliver(life: Life, store: Store, progress: OutboxProgress): void {
    const { net, apis } = this.#surroundings;
    const reports = apis.map((api): ReportsApi => {
      const report: ReportsApi["report"] = (entries, options) => {
        const request = reportToProto({ ...this.#identity(store), name: this.name }, entries, options);
        return net.call(api, "report", request, { timeoutMs: 10_000 });
      };
      return { address: api.name, report };
    });
    const outbox = new Outbox({
      source: store,
      apis: reports,
      signal: new AbortController().signal,
      progress,
    });
    void outbox.run();
    life.world.note("delivers");
  }

  /** Keeps the host attached to a replica, as src/hostd/scheduler-link/attach-client.ts does. */
  async #attach(life: Life, host: Host, store: Store, scheduler: Process): Promise<void> {
    const { net, serverOf } = this.#surroundings;
    for (let failures = 0; ; failures++) {
      const stream = openStream(net, life, scheduler, serverOf);
      const say = (message: AttachRequest["message"]) => stream.write({ message });
      say({ $case: "hello", value: hostInfoToProto(this.#identity(store)) });
      const over = new AbortController();
      const overdue = setTimeout(() => stream.end(), 5_000);
      try {
        for await (const { message } of stream.messages) {
          if (message?.$case === "welcome") {
            clearTimeout(overdue);
            failures = 0;
            void this.#tellStatus(host, say, over.signal);
          } else if (message?.$case === "bidRequest") {
            say(answerBid(message.value, (asked) => bid(host, asked, this.#hints(asked.imageDigest))));
          } else if (message?.$case === "holdRelease") {
            host.ledger.release(message.value.reservationIds);
          }
        }
      } catch (err) {
        // It attaches anew, whatever it was.
        life.world.log(this.name, "loses its stream", () => `to ${scheduler.name}: ${String(err)}`);
      }
      clearTimeout(overdue);
      over.abort();
      await sleep(backoffMs({ firstMs: 100, maxMs: 2_000 }, failures));
    }
  }

  async #tellStatus(host: Host, say: (message: AttachRequest["message"]) => void, signal: AbortSignal) {
    while (!signal.aborted) {
      say({ $case: "status", value: statusToProto(host, 0) });
      await sleep(STATUS_MS, signal);
    }
  }

  #hints(digest: string) {
    return { imageLocal: this.images.isLocal(digest), load: 0 };
  }

  #identity(store: Store) {
    const { number, name, capacity } = this;
    const place = { region: "ord", zone: "a", address: `10.0.0.${number}:7070`, labels: {} };
    const vmm = {
      name: "sim",
      acceleration: "none",
      version: "1",
      isolation: "development",
      reason: "",
    } as const;
    return { number, name, capacity, identity: store.identity, ...place, vmm };
  }
}
