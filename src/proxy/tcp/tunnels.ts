import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { counter, gauge } from "../../lib/otel/metrics.ts";
import { failSpan } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";
import { countBytes } from "../answers/request-metrics.ts";
import { ConnectionTrace } from "../answers/request-trace.ts";
import type { Connection } from "../connection.ts";
import { ProxyError } from "../proxy-error.ts";
import type { Place, Router, Target } from "../route.ts";
import { dial } from "./dial.ts";
import { breakOff, join, type Passed } from "./join.ts";
import { proxyHeader } from "./proxy-protocol.ts";

/** A connection may be silent for so long, when its service does not say longer. */
const IDLE_MS = 3_600_000;
const RETRY_MS = 25;

const connections = counter(
  "windhover_proxy_connections_total",
  "Connections that passed through, by result.",
  ["result"],
);
for (const result of ["ok", "refused", "left"]) connections.inc({ result }, 0);
let open = 0;
gauge("windhover_proxy_connections_in_progress", "Connections that pass through.", () => open);

/** Passes connections through to machines, as they are. */
export class Tunnels {
  readonly #router: Router;
  readonly #accessLog: boolean;
  readonly #ending = new AbortController();

  constructor(router: Router, accessLog: boolean) {
    this.#router = router;
    this.#accessLog = accessLog;
  }

  /** Passes a connection on until it ends. Never rejects. */
  async run(client: Socket, connection: Connection, target: Target): Promise<void> {
    const startedMs = performance.now();
    const passed: Passed = { sent: 0, received: 0 };
    const left = new AbortController();
    client.once("close", () => left.abort(new Error("the client has left")));
    client.on("error", () => {});
    const trace = new ConnectionTrace(connection, target);
    let [machine, problem] = ["", ""];
    let failure: string | undefined;
    open += 1;
    try {
      const [place, program] = await this.#connect(
        target,
        AbortSignal.any([left.signal, this.#ending.signal]),
        trace,
      );
      machine = place.machineId;
      trace.connected(machine);
      connection.identified();
      try {
        if (target.service.handlers.has("proxy_proto"))
          program.write(proxyHeader(target.service.proxyProto, connection));
        const idleMs = Math.max(IDLE_MS, target.service.http.idleTimeoutMs);
        const signal = AbortSignal.any([place.gone, this.#ending.signal]);
        await join(client, program, { idleMs, signal, passed });
      } finally {
        place.release();
      }
      connections.inc({ result: "ok" });
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      connections.inc({ result: left.signal.aborted ? "left" : "refused" });
      if (!left.signal.aborted) failure = error instanceof ProxyError ? error.code : "UNREACHABLE";
      breakOff(client);
    } finally {
      open -= 1;
      countBytes(passed.sent, passed.received);
      trace.end(machine, failure);
    }
    if (this.#accessLog) log(connection, target, machine, passed, performance.now() - startedMs, problem);
  }

  /** Ends all connections. */
  close(): void {
    this.#ending.abort(new Error("the proxy stops"));
  }

  /** Nothing of the client is read before, so any machine will do. */
  async #connect(target: Target, signal: AbortSignal, trace: ConnectionTrace): Promise<[Place, Socket]> {
    const avoid = new Set<string>();
    let untilMs: number | undefined;
    for (;;) {
      const { traceparent, waits } = trace;
      const ask = { kind: "connection", traceparent, waits, exclude: new Set<string>(), avoid } as const;
      const place = await this.#router.admit(target, ask, signal);
      trace.placed(place.wake);
      const { span } = trace.application(place);
      try {
        if (avoid.has(place.machineId)) await sleep(RETRY_MS, undefined, { signal });
        const program = await dial(place.address, signal);
        span.end();
        return [place, program];
      } catch (cause) {
        failSpan(span, cause);
        span.end();
        const now = performance.now();
        untilMs ??= now + target.service.wakeTimeoutMs;
        if (!signal.aborted) place.refused();
        place.release();
        if (signal.aborted) throw signal.reason;
        if (now > untilMs)
          throw new ProxyError("UNREACHABLE", `machine ${place.machineId} refuses connections`, { cause });
        avoid.add(place.machineId);
      }
    }
  }
}

function log(
  { address, port, serverName, isTls }: Connection,
  { app, org }: Target,
  machine: string,
  { sent, received }: Passed,
  durationMs: number,
  problem: string,
): void {
  logger.info("connection", {
    ...{ client: address, port, tls: isTls, server_name: serverName, app, org, machine },
    ...{ bytes_in: sent, bytes_out: received, duration_ms: Math.round(durationMs) },
    ...(problem === "" ? {} : { problem }),
  });
}
