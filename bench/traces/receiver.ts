import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { mintToken } from "../../src/lib/auth/auth.ts";
import { generateKeyPair } from "../../src/lib/auth/keys.ts";
import { TraceReader } from "../../src/lib/latency/trace-reader.ts";
import { bound } from "../../test/support/servers/bound.ts";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import type { Encoding, Target } from "./sender.ts";

const TOKEN_SECONDS = 3_600;

/** A trace receiver as a process, which the kernel lets run on one processor. */
export class BenchReceiver implements AsyncDisposable {
  readonly adminToken: string;
  /** Reads its database, as the console does. */
  readonly reader: TraceReader;
  readonly #start: () => Promise<Running>;
  readonly #token: string;
  #running: Running;

  private constructor(
    start: () => Promise<Running>,
    running: Running,
    tokens: { readonly telemetry: string; readonly admin: string },
    dir: string,
  ) {
    this.#start = start;
    this.#running = running;
    this.#token = tokens.telemetry;
    this.adminToken = tokens.admin;
    this.reader = new TraceReader(dir);
  }

  get pid(): number {
    return this.#running.child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#running.httpPort}`;
  }

  static async start(folder: string, keep: number): Promise<BenchReceiver> {
    const keys = generateKeyPair();
    const dir = join(folder, "traces");
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(folder, "1.public.pem"), keys.publicKey);
    const mint = (scope: "telemetry" | "admin") =>
      mintToken(keys.privateKey, { subject: "bench", org: "ops", scopes: [scope] }, TOKEN_SECONDS);
    const start = () => run({ TRACES_DIR: dir, TRACES_KEEP: String(keep), TOKEN_KEYS_DIR: folder });
    const tokens = { telemetry: await mint("telemetry"), admin: await mint("admin") };
    return new BenchReceiver(start, await start(), tokens, dir);
  }

  target(encoding: Encoding): Target {
    const grpcAddress = `127.0.0.1:${this.#running.grpcPort}`;
    return { url: this.url, grpcAddress, token: this.#token, encoding };
  }

  /** Ends it and starts it with the same database. Returns the milliseconds from its start until it was ready. */
  async restart(): Promise<number> {
    await end(this.#running.child);
    const at = performance.now();
    this.#running = await this.#start();
    return performance.now() - at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reader.close();
    await end(this.#running.child);
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly httpPort: number;
  readonly grpcPort: number;
}

async function run(environment: Readonly<Record<string, string>>): Promise<Running> {
  const child = spawn(...bound("taskset", ["-c", "0", tool("node"), join(ROOT, "src/traces/main.ts")]), {
    env: {
      ...process.env,
      TRACES_LISTEN: "127.0.0.1:0",
      TRACES_GRPC_LISTEN: "127.0.0.1:0",
      TRACES_BUDGET_MB: "8192",
      ...environment,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port, grpc_port } = JSON.parse(line);
    if (msg !== "ready") continue;
    child.stdout.resume();
    return { child, httpPort: port, grpcPort: grpc_port };
  }
  throw new Error("the receiver ended before it was ready");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
