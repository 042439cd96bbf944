import { Redis as Client, type RedisOptions } from "ioredis";
import { Fault } from "../faults/fault.ts";
import { SpanKind, withSpan } from "../otel/tracing.ts";
import { backoffMs } from "../runtime/backoff.ts";
import { type Logger, logger } from "../runtime/log.ts";
import { within } from "../runtime/wait.ts";

export interface RedisLimits {
  /** How long one command may take, in milliseconds. Default 1,000. */
  readonly commandTimeoutMs?: number;
  readonly log?: Logger;
}

export type Script = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

/**
 * A connection to Redis that reconnects by itself. While Redis is away, commands fail at once instead of waiting.
 */
export class Redis {
  readonly #client: Client;
  readonly #commandTimeoutMs: number;

  /** @param address `redis://user:password@host:port/db`, `host:port`, or a socket as `unix:/path` or `/path` */
  constructor(address: string, limits: RedisLimits = {}) {
    this.#commandTimeoutMs = limits.commandTimeoutMs ?? 1_000;
    const options = {
      enableOfflineQueue: false,
      // Commands of one turn of the event loop are sent in one write: a write costs more than a command.
      enableAutoPipelining: true,
      commandTimeout: this.#commandTimeoutMs,
      maxRetriesPerRequest: 1,
      connectTimeout: 2_000,
      retryStrategy: (attempt: number) => backoffMs({ firstMs: 50, maxMs: 2_000 }, attempt),
    } satisfies RedisOptions;
    const path = /^(?:unix:(?:\/\/(?=\/))?)?(\/.*)$/.exec(address)?.[1];
    const url = /^rediss?:\/\//.test(address) ? address : `redis://${address}`;
    this.#client = path === undefined ? new Client(url, options) : new Client({ ...options, path });
    logOutages(this.#client, limits.log ?? logger);
  }

  /**
   * Waits for the connection.
   *
   * @throws Fault UNAVAILABLE / `REDIS_UNAVAILABLE` when it takes longer than `timeoutMs`
   */
  async ready(timeoutMs: number): Promise<void> {
    if (this.#client.status === "ready") return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#client.once("ready", resolve);
    try {
      await within(timeoutMs, "connecting to Redis", () => promise);
    } catch (cause) {
      throw unavailable(cause);
    } finally {
      this.#client.off("ready", resolve);
    }
  }

  isReady(): boolean {
    return this.#client.status === "ready";
  }

  /**
   * Runs a command or a pipeline, in a span when there is a parent.
   *
   * @param operation name of the command for the span: `HSET`, `PIPELINE`
   * @throws Fault UNAVAILABLE / `REDIS_UNAVAILABLE` when Redis is away or too slow; a command that timed out may have
   *   run. An error that Redis answers is thrown as it is.
   */
  run<T>(operation: string, command: (client: Client) => Promise<T>): Promise<T> {
    const attributes = { "db.system.name": "redis", "db.operation.name": operation };
    return withSpan(operation, attributes, () => this.#guard(() => command(this.#client)), {
      kind: SpanKind.CLIENT,
      onlyBelowParent: true,
    });
  }

  /**
   * Defines a Lua script. Redis runs a script atomically.
   *
   * @param name unique in the program; names the operation in spans
   */
  script(name: string, lua: string): Script {
    this.#client.defineCommand(name, { lua });
    return (keys, args) =>
      this.run(name, (client) => {
        // ioredis adds scripts to its client as methods that it has no types for.
        const defined: unknown = Reflect.get(client, name);
        if (typeof defined !== "function") throw new TypeError(`the script ${name} is not defined`);
        return Promise.resolve(defined.call(client, keys.length, ...keys, ...args));
      });
  }

  /** Closes the connection. Commands that run may still finish. */
  async close(): Promise<void> {
    try {
      if (this.isReady()) await this.#client.quit();
    } catch {
      // Disconnected below.
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

/** Answers of a Redis that cannot serve now: it loads its data, or is a replica without its primary. */
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

/** Logs one line when Redis goes away and one when it is back. */
function logOutages(client: Client, log: Logger): void {
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
