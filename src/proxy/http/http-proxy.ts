import type { Socket } from "node:net";
import { logger } from "../../lib/runtime/log.ts";
import { logRequest } from "../answers/access-log.ts";
import { countBegin, countEnd } from "../answers/request-metrics.ts";
import type { Connection } from "../connection.ts";
import { peek } from "../peek.ts";
import type { Router } from "../route.ts";
import { H1Backend } from "./backend/h1-backend.ts";
import { H2Backend } from "./backend/h2-backend.ts";
import { TapeBudget } from "./body-tape.ts";
import type { Exchange } from "./exchange.ts";
import type { ProxyParts } from "./forward/parts.ts";
import { RequestRun } from "./forward/request-run.ts";
import type { ProxySettings } from "./forward/settings.ts";
import { H1Front } from "./front/h1-front.ts";
import { H2Front } from "./front/h2-front.ts";
import { isHttp2 } from "./front/preface.ts";
import { ReplayCache } from "./replay/replay-cache.ts";

const HEAD_BYTES = 32 * 1024;
const HEAD_MS = 15_000;
const KEEP_ALIVE_MS = 65_000;
const STREAMS = 128;

/** Serves requests on connections that it is given: HTTP/1.1 and HTTP/2, in the clear or after TLS. */
export class HttpProxy {
  readonly #parts: ProxyParts;
  readonly #h1: H1Front;
  readonly #h2: H2Front;
  readonly #running = new Set<Promise<void>>();

  constructor(router: Router, settings: ProxySettings) {
    this.#parts = {
      router,
      settings,
      h1: new H1Backend(),
      h2: new H2Backend(),
      replays: new ReplayCache(),
      budget: new TapeBudget(settings.keepBytes),
    };
    const handle = (exchange: Exchange) => this.#handle(exchange);
    this.#h1 = new H1Front(handle, { headBytes: HEAD_BYTES, keepAliveMs: KEEP_ALIVE_MS, headMs: HEAD_MS });
    this.#h2 = new H2Front(handle, { headBytes: HEAD_BYTES, streams: STREAMS, idleMs: KEEP_ALIVE_MS });
  }

  /** Serves a connection without TLS, by either version. */
  acceptClear(socket: Socket, connection: Connection): void {
    socket.on("error", () => socket.destroy());
    peek(socket, HEAD_MS, isHttp2, (isH2) => {
      if (isH2) this.#h2.accept(socket, connection);
      else this.#h1.accept(socket, connection);
    });
  }

  /** Serves a connection whose version is known. @param headMs time for the head of its first request */
  accept(socket: Socket, connection: Connection, isH2: boolean, headMs?: number): void {
    if (isH2) this.#h2.accept(socket, connection);
    else this.#h1.accept(socket, connection, headMs);
  }

  /** Takes no more requests, and waits for those under way. */
  async drain(): Promise<void> {
    this.#h1.drain();
    this.#h2.drain();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Ends everything. */
  close(): void {
    this.#h1.close();
    this.#h2.close();
    this.#parts.h1.close();
    this.#parts.h2.close();
  }

  async #handle(exchange: Exchange): Promise<void> {
    const running = this.#run(exchange);
    this.#running.add(running);
    await running;
    this.#running.delete(running);
  }

  async #run(exchange: Exchange): Promise<void> {
    const run = new RequestRun(exchange, this.#parts);
    countBegin();
    try {
      await run.run();
    } catch (error) {
      logger.error("a request was not answered", { request_id: run.record.requestId, error });
      exchange.cut();
    }
    const durationMs = run.elapsedMs();
    countEnd(run.record, durationMs, run.trace.span);
    run.trace.end(run.record);
    if (this.#parts.settings.accessLog) logRequest(run.record, durationMs);
  }
}
