import type { FastifyRequest } from "fastify";
import type { AuditSink } from "../../lib/audit/audit-entry.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { Access, Asker } from "../access/access.ts";
import type { Origins } from "../access/origin.ts";
import type { Follower } from "../following/follow.ts";
import type { Memory } from "../following/memory.ts";
import type { TraceSource } from "../source.ts";
import type { StaticFiles } from "./static-files.ts";

/** What the console's server is made of. */
export interface ConsoleParts {
  readonly memory: Memory;
  readonly follower: Pick<Follower, "isLoaded">;
  readonly source: TraceSource;
  readonly access: Access;
  readonly files: StaticFiles;
  readonly audit: AuditSink;
  readonly clock: Clock;
  /** Aborts when the console is about to end. */
  readonly closing: AbortSignal;
  /** Known once the server listens. */
  readonly origins: () => Origins;
}

/** Identifies the sender of a request. */
export type Identify = (request: FastifyRequest) => Promise<Asker>;

/** Path of a request without its parameters, which may have a code in them. */
export function pathOf({ raw }: FastifyRequest): string {
  return (raw.url ?? "/").split("?")[0]?.slice(0, 200) ?? "/";
}

/** Parameters of a request. */
export function parametersOf({ raw }: FastifyRequest): URLSearchParams {
  const url = raw.url ?? "";
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
}
