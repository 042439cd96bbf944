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
  readonly url: string;
  readonly adminToken: string;
  /** Reads its database, as the console does. */
  readonly reader: TraceReader;
  readonly #child: ChildProcess;
  readonly #grpcAddress: string;
  readonly #token: string;

  private constructor(
    child: ChildProcess,
    ports: { readonly http: number; readonly grpc: number },
    tokens: { readonly telemetry: string; readonly admin: string },
    dir: string,
  ) {
    this.#child = child;
    this.url = `http://127.0.0.1:${ports.http}`;
    this.#grpcAddress = `127.0.0.1:${ports.grpc}`;
    this.#token = tokens.telemetry;
    this.adminToken = tokens.admin;
    this.reader = new TraceReader(dir);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  static async start(folder: string, keep: number): Promise<BenchReceiver> {
    const keys = generateKeyPair();
    const dir = join(folder, "traces");
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(folder, "1.public.pem"), keys.publicKey);
    const mint = (scope: "telemetry" | "admin") =>
      mintToken(keys.privateKey, { subject: "bench", org: "ops", scopes: [scope] }, TOKEN_SECONDS);
    const child = spawn(...bound("taskset", ["-c", "0", tool("node"), join(ROOT, "src/traces/main.ts")]), {
      env: {
        ...process.env,
        TRACES_LISTEN: "127.0.0.1:0",
        TRACES_GRPC_LISTEN: "127.0.0.1:0",
        TRACES_DIR: dir,
        TRACES_KEEP: String(keep),
        TRACES_BUDGET_MB: "8192",
        TOKEN_KEYS_DIR: folder,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const { msg, port, grpc_port } = JSON.parse(line);
      if (msg !== "ready") continue;
      child.stdout.resume();
      const tokens = { telemetry: await mint("telemetry"), admin: await mint("admin") };
      return new BenchReceiver(child, { http: port, grpc: grpc_port }, tokens, dir);
    }
    throw new Error("the receiver ended before it was ready");
  }

  target(encoding: Encoding): Target {
    return { url: this.url, grpcAddress: this.#grpcAddress, token: this.#token, encoding };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reader.close();
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}
