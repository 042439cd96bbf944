import { EventEmitter, once } from "node:events";
import type * as grpc from "@grpc/grpc-js";
import {
  type HealthServer,
  HealthService,
  HealthCheckResponse_ServingStatus as STATUS,
  type HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health.ts";
import { Fault } from "../../faults/fault.ts";
import { serverStream, unary } from "../server/rpc.ts";

/** What a server answers to `grpc.health.v1`: NOT_SERVING until it is started, one status per service, and "" for all. */
export class Health {
  readonly #ready = new Map<string, boolean>();
  readonly #changes = new EventEmitter<{ change: [] }>();
  #running = false;

  /** @param services full names, e.g. `windhover.machines.v1.MachinesService` */
  constructor(services: readonly string[]) {
    for (const name of services) this.#ready.set(name, true);
    this.#changes.setMaxListeners(0);
  }

  /** The server listens; `serve` calls it. */
  start(): void {
    this.#running = true;
    this.#changes.emit("change");
  }

  /** The server is going; `serve` calls it. */
  stop(): void {
    this.#running = false;
    this.#changes.emit("change");
  }

  /** Says whether one service can do its work, e.g. whether something it cannot do without is there. */
  set(service: string, isReady: boolean): void {
    this.#ready.set(service, isReady);
    this.#changes.emit("change");
  }

  /** Whether everything serves. */
  isServing(): boolean {
    return this.#running && [...this.#ready.values()].every(Boolean);
  }

  /** The status of a service, "" for the whole server; undefined when there is none of that name. */
  status(service: string): Status | undefined {
    if (service === "") return this.isServing() ? STATUS.SERVING : STATUS.NOT_SERVING;
    const ready = this.#ready.get(service);
    if (ready === undefined) return undefined;
    return ready && this.#running ? STATUS.SERVING : STATUS.NOT_SERVING;
  }

  /** Every status by name. */
  all(): ReadonlyMap<string, Status> {
    return new Map(["", ...this.#ready.keys()].map((name) => [name, this.status(name) ?? STATUS.UNKNOWN]));
  }

  /** The status now and whenever it has changed; a slow reader skips to the latest. */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<Status> {
    let last: Status | undefined;
    while (!signal.aborted) {
      const now = this.status(service) ?? STATUS.SERVICE_UNKNOWN;
      if (now !== last) {
        last = now;
        yield now;
      } else {
        await once(this.#changes, "change", { signal });
      }
    }
  }
}

/** Adds `grpc.health.v1` to a server. */
export function addHealth(server: grpc.Server, health: Health): void {
  server.addService(HealthService, healthService(health));
}

function healthService(health: Health): HealthServer {
  return {
    check: unary(({ service }) => {
      const status = health.status(service);
      if (status === undefined) throw unknownService(service);
      return { status };
    }),
    watch: serverStream(async function* ({ service }, ctx) {
      for await (const status of health.watch(service, ctx.signal)) yield { status };
    }),
    list: unary(() => ({
      statuses: new Map([...health.all()].map(([name, status]) => [name, { status }])),
    })),
  };
}

function unknownService(service: string): Fault {
  return new Fault("NOT_FOUND", "SERVICE_UNKNOWN", `there is no service ${service} here`, { service });
}
