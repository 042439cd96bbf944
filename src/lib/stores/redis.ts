import { Redis as Client, type RedisOptions } from "ioredis";
import { SpanKind, withSpan } from "../otel/tracing.ts";
import { backoffMs } from "../runtime/backoff.ts";
import { Fault } from "../runtime/fault.ts";
import { type Logger, logger } from "../runtime/log.ts";
import { within } from "../runtime/wait.ts";

export type { Redis as RedisClient } from "ioredis";

/** How a {@link Redis} is bounded. */
export interface RedisLimits {
  /** How long one command may take, in milliseconds. Default 1,000. */
  readonly commandTimeoutMs?: number;
  readonly log?: Logger;
}

/** A Lua script, defined once and then sent by its hash. */
export type Script = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

/**
 * A connection to Redis that fails at once instead of queueing while Redis is away, and reconnects by itself.
 * Redis holds only what may be lost.
 */
export class Redis {
  readonly #client: Client;
  readonly #commandTimeoutMs: number;

  /** @param address `redis://user:password@host:port/db`, `host:port`, or a socket as `unix:/path` or `/path` */
  constructor(address: string, limits: RedisLimits = {}) {
    this.#commandTimeoutMs = limits.commandTimeoutMs ?? 1_000;
    const options = {
      enableOfflineQueue: false,
      // What is asked for in one turn of the event loop goes out in one write: a write costs more than a command.
      enableAutoPipelining: true,
      commandTimeout: this.#commandTimeoutMs,
      maxRetriesPerRequest: 1,
      connectTimeout: 2_000,
      retryStrategy: (attempt: number) => backoffMs({ firstMs: 50, maxMs: 2_000 }, attempt),
    } satisfies RedisOptions;
    const path = /^(?:unix:(?:\/\/(?=\/))?)?(\/.*)$/.exec(address)?.[1];
    const url = /^rediss?:\/\//.test(address) ? address : `redis://${address}`;
    this.#client = path === undefined ? new Client(url, options) : new Client({ ...options, path });
    tellOutages(this.#client, limits.log ?? logger);
  }

  /**
   * Resolves once connected.
   *
   * @throws Fault UNAVAILABLE / `REDIS_UNAVAILABLE` when that takes longer than `timeoutMs`
   */
  async ready(timeoutMs: number): Promise<void> {
    if (this.#client.status === "ready") return;
    let onReady: (() => void) | undefined;
    const connected = new Promise<void>((resolve) => {
      onReady = resolve;
      this.#client.once("ready", resolve);
    });
    try {
      await within(timeoutMs, "connecting to Redis", () => connected);
    } catch (cause) {
      throw unavailable(cause);
    } finally {
      if (onReady) this.#client.off("ready", onReady);
    }
  }

  /** Whether it is connected right now. */
  isReady(): boolean {
    return this.#client.status === "ready";
  }

  /**
   * Runs a command or a pipeline, with a span when there is one above.
   *
   * @param operation the command's name, for the span: `HSET`, `PIPELINE`
   * @throws Fault UNAVAILABLE / `REDIS_UNAVAILABLE` when Redis is away or too slow; a command that timed out may still
   *   have been carried out. What Redis itself refuses is thrown as it is.
   */
  run<T>(operation: string, command: (client: Client) => Promise<T>): Promise<T> {
    const attributes = { "db.system.name": "redis", "db.operation.name": operation };
    return withSpan(operation, attributes, () => this.#guard(() => command(this.#client)), {
      kind: SpanKind.CLIENT,
      onlyBelowParent: true,
    });
  }

  /**
   * Defines a Lua script. Redis runs a script as one: nothing else happens in between.
   *
   * @param name unique in the program, and the operation's name in spans
   */
  script(name: string, lua: string): Script {
    this.#client.defineCommand(name, { lua });
    return (keys, args) =>
      this.run(name, (client) => {
        // ioredis adds scripts to its client as methods, which no type can know of.
        const defined: unknown = Reflect.get(client, name);
        if (typeof defined !== "function") throw new TypeError(`the script ${name} is not defined`);
        return Promise.resolve(defined.call(client, keys.length, ...keys, ...args));
      });
  }

  /** Ends the connection; what is under way may still finish, for a moment. */
  async close(): Promise<void> {
    try {
      if (this.isReady()) await this.#client.quit();
    } catch {
      // Cut off below, all the same.
    }
    this.#client.disconnect();
  }

  async #guard<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (err) {
      throw isOutage(err) ? unavailable(err) : err;
    }
  }
}

/** Redis answers, but only to say that it cannot: still loading, or a replica without its primary. */
const NOT_NOW = /^(?:LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|BUSY |TRYAGAIN)/;
const OUTAGE =
  /connection is closed|command timed out|stream isn't writeable|max retries|offline|socket timeout|connect/i;
const SYSTEM_ERRORS = /^(?:ECONN\w+|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)$/;

function isOutage(err: unknown): boolean {
  if (!(err instanceof Error)) return false;
  if (err.name === "ReplyError") return NOT_NOW.test(err.message);
  const code = "code" in err ? String(err.code) : "";
  return err.name === "MaxRetriesPerRequestError" || SYSTEM_ERRORS.test(code) || OUTAGE.test(err.message);
}

function unavailable(cause: unknown): Fault {
  return new Fault("UNAVAILABLE", "REDIS_UNAVAILABLE", "Redis cannot be reached", {}, { cause });
}

/** One line when it goes and one when it is back, however often reconnecting fails in between. */
function tellOutages(client: Client, log: Logger): void {
  let away = false;
  client.on("error", (error: unknown) => {
    if (!away) log.warn("Redis cannot be reached", { error });
    away = true;
  });
  client.on("ready", () => {
    if (away) log.info("Redis is back");
    away = false;
  });
}
