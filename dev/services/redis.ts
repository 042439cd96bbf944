import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { program } from "../../tools/lib/programs.ts";
import { plainEnvironment } from "../settings/environment.ts";
import type { PartSpec } from "../supervisor/part.ts";

export interface RedisOptions {
  readonly name?: string;
  /** Of its socket. Made when it is not there. */
  readonly folder: string;
  readonly logFile: string;
}

/** A server on a unix socket. It persists nothing: reservations are short-lived. */
export function redis(options: RedisOptions): PartSpec {
  const socket = redisSocket(options.folder);
  return {
    name: options.name ?? "redis",
    command: [
      program("redis-server"),
      ...["--port", "0", "--unixsocket", socket, "--unixsocketperm", "700"],
      ...["--save", "", "--appendonly", "no", "--dir", options.folder],
      ...["--maxmemory", "128mb", "--maxmemory-policy", "noeviction"],
    ],
    environment: plainEnvironment(),
    workingDirectory: "/",
    logFile: options.logFile,
    stopSignal: "SIGTERM",
    stopGraceMs: 5_000,
    orphanSignal: "SIGTERM",
    readyTimeoutMs: 30_000,
    async prepare() {
      mkdirSync(options.folder, { recursive: true, mode: 0o700 });
      rmSync(socket, { force: true });
    },
    ready: (signal) => ping(socket, signal),
  };
}

/** The path of the socket of the server in `folder`. */
export function redisSocket(folder: string): string {
  return join(folder, "redis.sock");
}

async function ping(path: string, signal: AbortSignal): Promise<void> {
  const socket = connect({ path, signal });
  try {
    await once(socket, "connect", { signal });
    socket.write("PING\r\n");
    const [answer] = await once(socket, "data", { signal });
    if (!String(answer).startsWith("+PONG")) throw new Error(`Redis answers ${String(answer)}`);
  } finally {
    socket.destroy();
  }
}
