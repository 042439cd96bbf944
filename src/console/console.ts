import { setMaxListeners } from "node:events";
import type { AuditSink } from "../lib/audit/audit-entry.ts";
import type { TokenVerifier } from "../lib/auth/auth.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { listen } from "../lib/runtime/listen.ts";
import { Access } from "./access/access.ts";
import { Origins } from "./access/origin.ts";
import type { ConsoleConfig } from "./config.ts";
import { Follower } from "./following/follow.ts";
import { Memory } from "./following/memory.ts";
import { consoleServer } from "./http/server.ts";
import { StaticFiles } from "./http/static-files.ts";
import type { TraceSource } from "./source.ts";

/** Requests that run get this time to end. */
const GRACE_MS = 2_000;

/** Dependencies of the console. */
interface ConsoleOutside {
  readonly source: TraceSource;
  readonly verifier: TokenVerifier;
  readonly audit: AuditSink;
  readonly clock: Clock;
}

/** A console that listens. */
export interface RunningConsole {
  readonly port: number;
  /** Where browsers see it. */
  readonly url: string;
  readonly hasPage: boolean;
  readonly memory: Memory;
  close(): Promise<void>;
}

/** Starts to listen, and to read the receiver's store: what was not read yet is missing in answers. */
export async function startConsole(
  config: Pick<ConsoleConfig, "listen" | "publicUrl" | "capacity" | "objectives" | "pageDir">,
  { source, verifier, audit, clock }: ConsoleOutside,
): Promise<RunningConsole> {
  const memory = new Memory(config.objectives, clock);
  const follower = new Follower(source, memory, config.capacity, clock);
  const files = new StaticFiles(config.pageDir);
  const access = new Access(verifier, clock);
  let origins = new Origins(0, config.publicUrl);
  const closing = new AbortController();
  // Each live view listens.
  setMaxListeners(0, closing.signal);
  const outside = { source, audit, clock, closing: closing.signal };
  const parts = { memory, follower, access, files, origins: () => origins, ...outside };
  const server = await consoleServer(parts);
  const port = await listen(server.server, config.listen, "CONSOLE_LISTEN");
  origins = new Origins(port, config.publicUrl);
  const stopFollowing = follower.start();
  const close = async () => {
    closing.abort();
    const cut = setTimeout(() => server.server.closeAllConnections(), GRACE_MS);
    await Promise.all([stopFollowing(), server.close()]);
    clearTimeout(cut);
  };
  return { port, url: origins.own, hasPage: files.hasPage, memory, close };
}
