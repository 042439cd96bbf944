import {
  AttachProxyRequest,
  type AttachProxyResponse,
  type RoutedMachine,
} from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { Requests } from "../machines/requests.ts";
import type { Network } from "../world/network.ts";
import { Random } from "../world/random.ts";
import { type Life, Process, type World } from "../world/world.ts";
import type { SimHost } from "./host.ts";
import { type ClientStream, openStream } from "./streams.ts";

/** A use that is released so long after its last request. */
const KEEP_MS = 2_000;
/** A use is relied on while the host has been heard so lately: less than its uses last. */
const RELY_MS = 20_000;
const ACKNOWLEDGED_WITHIN_MS = 3_000;
const REFRESH_MS = 1_000;

/** A machine that a proxy has, or had, requests for. */
interface Use {
  requests: number;
  lastEndMs: number;
  /** By the stream of now. */
  isAcknowledged: boolean;
  /** An acknowledgement by an earlier stream counts until then. */
  reliedUntilMs: number;
}

/** What a life of a proxy knows of a host. */
class Link {
  readonly machines = new Map<string, RoutedMachine>();
  readonly uses = new Map<string, Use>();
  stream: ClientStream<AttachProxyRequest, AttachProxyResponse> | undefined;
  heardMs = Number.NEGATIVE_INFINITY;

  say(message: Partial<AttachProxyRequest>): void {
    this.stream?.write(AttachProxyRequest.create(message));
  }

  /** Whether the host knows that the machine is used, as far as can be said. */
  isRelied(id: string, nowMs: number): boolean {
    const use = this.uses.get(id);
    if (!use) return false;
    return nowMs < Math.max(use.reliedUntilMs, use.isAcknowledged ? this.heardMs + RELY_MS : 0);
  }

  isStarted(id: string): boolean {
    return this.machines.get(id)?.state === MachineState.STARTED;
  }
}

/** A proxy as src/proxy is one towards hosts: it uses, starts, stops and suspends machines, and has requests for them. */
export class SimProxy {
  readonly process: Process;
  readonly #net: Network;
  readonly #requests: Requests;
  readonly #random: Random;

  /** @param untilMs it has requests, and stops or suspends machines, until then */
  constructor(
    world: World,
    name: string,
    surroundings: {
      readonly net: Network;
      readonly hosts: readonly SimHost[];
      readonly requests: Requests;
      readonly untilMs: number;
    },
  ) {
    const { net, hosts, requests, untilMs } = surroundings;
    this.#net = net;
    this.#requests = requests;
    this.#random = new Random(world.seed, name);
    this.process = new Process(world, name, (life) => {
      for (const host of hosts) {
        const link = new Link();
        void this.#attach(life, host, link);
        void this.#request(life, host, link, untilMs);
        void this.#stop(life, host, link, untilMs);
      }
    });
  }

  async #attach(life: Life, host: SimHost, link: Link): Promise<void> {
    for (;;) {
      const serverOf = (server: Life) => (host.now?.life === server ? host.now.proxies : undefined);
      const stream = openStream<AttachProxyRequest, AttachProxyResponse>(
        this.#net,
        life,
        host.process,
        serverOf,
      );
      link.stream = stream;
      link.say({ proxyId: this.process.name });
      const again = [...link.uses].filter(([, { requests }]) => requests > 0).map(([id]) => id);
      const known = [...(host.now?.store.all() ?? [])].map(({ id }) => id);
      link.say({ watchIds: known, useIds: again });
      try {
        for await (const { machines, usedIds } of stream.messages) {
          link.heardMs = life.world.nowMs;
          for (const machine of machines) link.machines.set(machine.id, machine);
          for (const id of usedIds) {
            const use = link.uses.get(id);
            if (use) use.isAcknowledged = true;
          }
        }
      } catch {
        // It attaches anew, whatever it was.
      }
      for (const use of link.uses.values()) {
        if (use.isAcknowledged) use.reliedUntilMs = link.heardMs + RELY_MS;
        use.isAcknowledged = false;
      }
      await sleep(this.#random.between(50, 1_000));
    }
  }

  /** Has requests for machines of a host, now and then. */
  async #request(life: Life, host: SimHost, link: Link, untilMs: number): Promise<void> {
    while (life.world.nowMs < untilMs) {
      await sleep(this.#random.between(0, this.#random.pick([50, 1_000, REFRESH_MS * 4])));
      const all = [...(host.now?.store.all() ?? [])].map(({ id }) => id);
      if (all.length > 0) void this.#send(life, host, link, this.#random.pick(all));
    }
  }

  async #send(life: Life, host: SimHost, link: Link, id: string): Promise<void> {
    const { world } = life;
    const use: Use = link.uses.get(id) ?? {
      requests: 0,
      lastEndMs: 0,
      isAcknowledged: false,
      reliedUntilMs: 0,
    };
    link.uses.set(id, use);
    use.requests += 1;
    try {
      if (!use.isAcknowledged) link.say({ watchIds: [id], useIds: [id] });
      for (let ms = 0; !link.isRelied(id, world.nowMs) && ms < ACKNOWLEDGED_WITHIN_MS; ms += 50)
        await sleep(50);
      if (!link.isStarted(id) && this.#random.chance(0.5)) {
        const started = this.#net.call(
          host.process,
          "startFromProxy",
          { machineId: id },
          { timeoutMs: 10_000 },
        );
        await started.catch(() => undefined);
        await sleep(5);
      }
      if (!link.isRelied(id, world.nowMs) || !link.isStarted(id)) return;
      const isRelied = () => !life.isDead && link.isRelied(id, world.nowMs);
      const end = this.#requests.begin(host, id, isRelied);
      life.onDeath(end);
      await sleep(this.#random.between(0, this.#random.pick([20, 500, 8_000, 40_000])));
      end();
    } finally {
      use.requests -= 1;
      use.lastEndMs = world.nowMs;
      this.#releaseLater(life, link, id, use);
    }
  }

  #releaseLater({ world }: Life, link: Link, id: string, use: Use): void {
    void sleep(KEEP_MS).then(() => {
      const unusedForMs = world.nowMs - use.lastEndMs;
      if (use.requests > 0 || unusedForMs < KEEP_MS || link.uses.get(id) !== use) return;
      link.uses.delete(id);
      link.say({ released: [{ machineId: id, unusedFor: durationToProto(unusedForMs) }] });
    });
  }

  /** Asks for stops and suspends of machines that look idle. */
  async #stop({ world }: Life, host: SimHost, link: Link, untilMs: number): Promise<void> {
    while (world.nowMs < untilMs) {
      await sleep(this.#random.between(0, 2_000));
      const idle = [...link.machines.keys()].filter(
        (id) => link.isStarted(id) && !link.uses.get(id)?.requests,
      );
      if (idle.length === 0) continue;
      const request = {
        machineId: this.#random.pick(idle),
        unusedForMs: this.#random.pick([0, 0, 500, 3_000]),
      };
      const method = this.#random.pick(["stopIdle", "suspendIdle"]);
      await this.#net.call(host.process, method, request, { timeoutMs: 10_000 }).catch(() => undefined);
    }
  }
}
