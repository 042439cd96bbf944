import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkHealth } from "../../dev/services/health.ts";
import { SCHEDULER_FLAGS } from "../../dev/services/services.ts";
import { freePorts } from "../../dev/settings/ports.ts";
import { Part } from "../../dev/supervisor/part.ts";
import { SchedulerServiceClient } from "../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { generateKeyPair } from "../../src/lib/auth/keys.ts";
import { internalTokens } from "../../src/lib/auth/tokens.ts";
import { connect } from "../../src/lib/grpc/client.ts";
import { abortable } from "../../src/lib/runtime/abort.ts";
import { startRedis } from "../../test/support/servers/redis.ts";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import { Child } from "../lib/child.ts";
import type { HostFunctions } from "./hosts.ts";

/** With more, a process of hosts would be the slowest part. */
const HOSTS_PER_PROCESS = 2_500;
const REGION = "bench";

/** One scheduler as in production, its own Redis, and simulated hosts that are attached to it. */
export class AuctionFleet implements AsyncDisposable {
  readonly client: SchedulerServiceClient;
  readonly #scheduler: Part;
  readonly #redis: Part;
  readonly #hosts: readonly Child<HostFunctions>[];
  readonly #end: AsyncDisposable;

  private constructor(
    client: SchedulerServiceClient,
    [scheduler, redis]: readonly [Part, Part],
    hosts: readonly Child<HostFunctions>[],
    end: AsyncDisposable,
  ) {
    this.client = client;
    this.#scheduler = scheduler;
    this.#redis = redis;
    this.#hosts = hosts;
    this.#end = end;
  }

  /** Resolves when `count` hosts are attached. */
  static async start(count: number, signal: AbortSignal): Promise<AuctionFleet> {
    await using stack = new AsyncDisposableStack();
    const folder = temporaryFolder("auction");
    stack.defer(() => folder.remove());
    const redis = await startRedis();
    stack.defer(() => redis.close());
    const { publicKey, privateKey } = generateKeyPair();
    writeFileSync(join(folder.path, "1.public.pem"), publicKey);
    const [port] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    const scheduler = new Part({
      name: "scheduler",
      command: [
        ...([tool("node"), ...SCHEDULER_FLAGS] as const),
        ...["--import", "./otel/register.ts", "src/scheduler/main.ts"],
      ],
      environment: {
        ...{ SCHEDULER_LISTEN: address, SCHEDULER_REGION: REGION, REDIS_URL: redis.url },
        ...{ TOKEN_KEYS_DIR: folder.path, LOG_LEVEL: "warn" },
        // Elsewhere each host has an address of its own.
        ...{ GRPC_CONNECTIONS: "100000", GRPC_CONNECTIONS_PER_ADDRESS: "100000" },
      },
      workingDirectory: ROOT,
      logFile: join(folder.path, "scheduler.log"),
      ...{ stopSignal: "SIGTERM", stopGraceMs: 10_000, orphanSignal: "SIGKILL", readyTimeoutMs: 30_000 },
      ready: (until) => checkHealth(address, until),
    });
    stack.defer(() => scheduler.stop());
    await scheduler.start();
    const token = internalTokens(privateKey, "bench");
    const client = connect(SchedulerServiceClient, address, { token });
    stack.defer(() => client.close());
    const hosts: Child<HostFunctions>[] = [];
    const attached: Promise<void>[] = [];
    for (let first = 1; first <= count; first += HOSTS_PER_PROCESS) {
      const child = stack.use(new Child<HostFunctions>(new URL("./hosts.ts", import.meta.url)));
      hosts.push(child);
      const some = Math.min(HOSTS_PER_PROCESS, count - first + 1);
      attached.push(child.functions.attach(address, privateKey, REGION, first, some));
    }
    await abortable(Promise.all(attached), signal);
    return new AuctionFleet(client, [scheduler, redis.part], hosts, stack.move());
  }

  /** Makes a host turn a hold into an allocation. */
  async award(host: number, reservationId: string, epoch: bigint): Promise<void> {
    const child = this.#hosts[Math.floor((host - 1) / HOSTS_PER_PROCESS)];
    if (!child) throw new Error(`there is no host ${host}`);
    await child.functions.award(host, reservationId, epoch);
  }

  /** Counts the bids, answers and releases of all hosts so far. */
  async messages(): Promise<number> {
    const counts = await Promise.all(this.#hosts.map(({ functions }) => functions.messages()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  get pids(): { readonly scheduler: number; readonly redis: number; readonly hosts: readonly number[] } {
    return {
      scheduler: this.#scheduler.process?.pid ?? 0,
      redis: this.#redis.process?.pid ?? 0,
      hosts: this.#hosts.map(({ pid }) => pid),
    };
  }

  /** Returns the resident memory of the scheduler, in MB. */
  memoryMb(): number {
    const status = readFileSync(`/proc/${this.pids.scheduler}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end[Symbol.asyncDispose]();
  }
}
