import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkHealth } from "../../dev/services/health.ts";
import { SCHEDULER_FLAGS } from "../../dev/services/services.ts";
import { freePorts } from "../../dev/settings/ports.ts";
import { Part } from "../../dev/supervisor/part.ts";
import { SchedulerServiceClient } from "../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { generateKeyPair } from "../../src/lib/auth/auth.ts";
import { internalTokens } from "../../src/lib/auth/tokens.ts";
import { connect } from "../../src/lib/grpc/client.ts";
import { Stack } from "../../src/lib/runtime/lifecycle.ts";
import { startRedis } from "../../test/support/redis.ts";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import { REGION } from "./host-job.ts";
import { HostProcess } from "./host-process.ts";

/** Connections that one process of hosts makes: more of them would make it the slowest part. */
const HOSTS_PER_PROCESS = 2_500;

/** One scheduler, as it is run in production, a Redis of its own, and simulated hosts attached to it. */
export class AuctionFleet {
  readonly client: SchedulerServiceClient;
  readonly processes: readonly HostProcess[];
  readonly #scheduler: Part;
  readonly #redis: Part;
  readonly #stack: Stack;

  private constructor(
    parts: { scheduler: Part; redis: Part; client: SchedulerServiceClient; processes: HostProcess[] },
    stack: Stack,
  ) {
    this.client = parts.client;
    this.processes = parts.processes;
    this.#scheduler = parts.scheduler;
    this.#redis = parts.redis;
    this.#stack = stack;
  }

  /** Starts it, and resolves when all hosts are attached. */
  static async start(hosts: number, signal: AbortSignal): Promise<AuctionFleet> {
    const stack = new Stack();
    try {
      const folder = temporaryFolder("auction");
      stack.add("folder", async () => folder.remove());
      const redis = await startRedis();
      stack.add("redis", () => redis.close());
      const keys = generateKeyPair();
      const publicKey = join(folder.path, "public.pem");
      writeFileSync(publicKey, keys.publicKey);
      const [port] = await freePorts(1);
      const address = `127.0.0.1:${port}`;
      const scheduler = new Part({
        name: "scheduler",
        command: [
          tool("node"),
          ...SCHEDULER_FLAGS,
          "--import",
          "./otel/register.ts",
          "src/scheduler/main.ts",
        ],
        environment: {
          ...{ SCHEDULER_LISTEN: address, SCHEDULER_REGION: REGION, REDIS_URL: redis.url },
          ...{ TOKEN_PUBLIC_KEY_FILE: publicKey, LOG_LEVEL: "warn" },
        },
        workingDirectory: ROOT,
        logFile: join(folder.path, "scheduler.log"),
        stopSignal: "SIGTERM",
        stopGraceMs: 10_000,
        orphanSignal: "SIGKILL",
        readyTimeoutMs: 30_000,
        ready: (until) => checkHealth(address, until),
      });
      stack.add("scheduler", () => scheduler.stop());
      await scheduler.start();
      const client = connect(SchedulerServiceClient, address, {
        token: internalTokens(keys.privateKey, "bench"),
      });
      stack.add("client", async () => client.close());
      const processes: HostProcess[] = [];
      for (let first = 1; first <= hosts; first += HOSTS_PER_PROCESS) {
        const count = Math.min(HOSTS_PER_PROCESS, hosts - first + 1);
        const process = new HostProcess({ address, signingKey: keys.privateKey, first, count });
        stack.add("hosts", () => process.close());
        processes.push(process);
      }
      await Promise.all(processes.map((each) => each.attached(signal)));
      return new AuctionFleet({ scheduler, redis: redis.part, client, processes }, stack);
    } catch (err) {
      await stack.close();
      throw err;
    }
  }

  /** Where a host is. */
  processOf(host: number): HostProcess {
    const found = this.processes.find(
      ({ settings: { first, count } }) => host >= first && host < first + count,
    );
    if (!found) throw new Error(`there is no host ${host}`);
    return found;
  }

  /** Numbers of the processes, by what they are. */
  get pids(): { readonly scheduler: number; readonly redis: number; readonly hosts: readonly number[] } {
    return {
      scheduler: this.#scheduler.process?.pid ?? 0,
      redis: this.#redis.process?.pid ?? 0,
      hosts: this.processes.map((each) => each.pid),
    };
  }

  /** Resident memory of the scheduler, in MB. */
  memoryMb(): number {
    const status = readFileSync(`/proc/${this.pids.scheduler}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
  }

  close(): Promise<void> {
    return this.#stack.close();
  }
}
