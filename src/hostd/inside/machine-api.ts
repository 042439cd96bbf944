import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { AuditSink } from "../../lib/audit/audit-entry.ts";
import type { SigningKeys } from "../../lib/auth/keys.ts";
import type { Revocations } from "../../lib/auth/revocations.ts";
import { requireGoodStanding } from "../../lib/auth/rpc-rules.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import type { Machines } from "../operations/machines.ts";
import { faultOf, sendFault, sendJson } from "./answer.ts";
import { machineToJson } from "./machine-json.ts";
import { MachineTokens } from "./machine-token.ts";
import { busyUntil, readObject, type Target, targetOf } from "./own-requests.ts";
import { PassOn } from "./pass-on.ts";
import { RequestRates } from "./request-rates.ts";

export interface MachineApiParts {
  readonly keys: SigningKeys;
  readonly revocations: Pick<Revocations, "isRevoked" | "isSuspended">;
  readonly clock: Clock;
  /** REST addresses of apis, nearest first. */
  readonly apis: readonly string[];
  /** For tests. Default: {@link LIMITS}. */
  readonly limits?: Partial<typeof LIMITS>;
}

const LIMITS = {
  /** Time until a request has arrived whole, from the beginning of the connection or the last answer. */
  arrivalMs: 30_000,
  /** Requests of an organisation that are passed on at once. */
  passedOn: 64,
};
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_REQUESTS_PER_CONNECTION = 1_000;
const SUSPEND_POLL_MS = 2;
const METHOD = "inside/v1/machines/self";

/** The API that programs reach inside their machines, at /.fly/api. Opens no port. */
export class MachineApi {
  readonly #parts: MachineApiParts;
  readonly #server: Server;
  readonly #tokens: MachineTokens;
  readonly #passOn: PassOn;
  readonly #passing: Concurrency;
  readonly #rates: RequestRates;
  readonly #owners = new WeakMap<object, MachineId>();
  readonly #connections = new Set<Duplex>();
  readonly #arrivalMs: number;
  #machines: Machines | undefined;
  #audit: AuditSink = { record() {} };

  constructor(parts: MachineApiParts) {
    const { arrivalMs, passedOn } = { ...LIMITS, ...parts.limits };
    this.#parts = parts;
    this.#arrivalMs = arrivalMs;
    this.#tokens = new MachineTokens(parts);
    this.#passOn = new PassOn(parts.apis);
    this.#passing = new Concurrency(passedOn, tooMany);
    this.#rates = new RequestRates(parts.clock);
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false });
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    // A client that has sent its request may end its half of the connection.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on("request", (request, response) => void this.#onRequest(request, response));
    this.#server.on("clientError", (_err, socket) => answerBroken(socket));
  }

  /** Called once there are machines. */
  open(machines: Machines): void {
    this.#machines = machines;
  }

  /** Writes to this audit log from now on. */
  auditTo(audit: AuditSink): void {
    this.#audit = audit;
  }

  serve(id: MachineId, connection: Duplex): void {
    this.#owners.set(connection, id);
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    connection.on("error", () => {});
    // The last answer is with the guest: nothing else is to come.
    connection.once("finish", () => connection.destroy());
    this.#limitArrival(connection);
    this.#server.emit("connection", connection);
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#passOn.close();
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = this.#owners.get(request.socket);
    const done = (): void => {
      this.#limitArrival(request.socket);
      // What is left of a body is not read.
      if (!request.complete) request.socket.destroy();
    };
    const arrived = (): void => {
      // The rest of a request that was answered early is dropped, and is no reason to wait longer.
      if (request.complete && !response.writableFinished) this.#arrived(request.socket);
    };
    request.once("end", arrived);
    // One without a body is whole before anybody reads it.
    setImmediate(arrived);
    response.once("finish", done);
    let machine: Machine | undefined;
    let target: Target | undefined;
    try {
      if (id === undefined || !this.#machines)
        throw new Fault("UNAVAILABLE", "STARTING", "the host is starting");
      machine = this.#machines.get(id, "");
      this.#rates.take(id);
      target = targetOf(request.method ?? "GET", request.url ?? "/", { id, app: machine.spec.app });
      if (target.kind === "pass") await this.#pass(machine, request, response, target.path);
      else await this.#own(machine, target.kind, request, response);
    } catch (err) {
      const fault = faultOf(err);
      // A program that leaves is no error of the host, however often it does.
      if (fault.code === "INTERNAL" && !request.socket.destroyed)
        logger.error("a request inside a machine failed", { machine_id: id, error: err });
      if (machine && target && target.kind !== "get" && target.kind !== "pass")
        this.#record(machine, target.kind, fault);
      sendFault(response, fault);
    }
  }

  async #own(
    machine: Machine,
    kind: Exclude<Target["kind"], "pass">,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { clock } = this.#parts;
    const machines = this.#opened();
    const { id } = machine;
    const right = { nonce: headerOf(request, "fly-machine-lease-nonce") };
    if (kind === "get") {
      sendJson(response, 200, machineToJson(machine, clock.now()));
      return;
    }
    if (kind === "busy") {
      const untilMs = await machines.setBusy(id, await busyUntil(request, clock.now()));
      this.#record(machine, kind);
      const until = untilMs === undefined ? {} : { busy_until: new Date(untilMs).toISOString() };
      sendJson(response, 200, { ok: true, ...until });
      return;
    }
    await readObject(request);
    const why = { source: "machine", message: "its program asked for it" } as const;
    machines.guarded(id, "", right);
    if (kind === "suspend") await this.#suspend(id, () => machines.suspend(id, "", why, undefined, right));
    this.#record(machine, kind);
    // The program may not live to read it: it is sent first.
    sendJson(response, 200, { ok: true });
    if (kind === "stop")
      machines.stop(id, "", { why }, right).catch((error: unknown) => {
        logger.warn("a machine could not stop itself", { machine_id: id, error });
      });
  }

  /** Waits until a suspend has begun, so that the program hears of a refusal and of nothing else. */
  async #suspend(id: MachineId, suspend: () => Promise<unknown>): Promise<void> {
    let isOver = false;
    const suspended = suspend().finally(() => {
      isOver = true;
    });
    suspended.catch(() => {});
    while (!isOver && this.#opened().get(id, "").state === "started") await sleep(SUSPEND_POLL_MS);
    if (isOver) await suspended;
  }

  async #pass(
    machine: Machine,
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> {
    const { org } = machine.spec;
    if (machine.state === "destroying" || machine.state === "destroyed")
      throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", `machine ${machine.id} is ${machine.state}`);
    requireGoodStanding(org, this.#parts.revocations);
    const release = this.#passing.take(org);
    try {
      const token = await this.#tokens.tokenOf(machine);
      await this.#passOn.pass(request, response, path, token);
    } finally {
      release();
    }
  }

  #opened(): Machines {
    if (!this.#machines) throw new Error("not open yet");
    return this.#machines;
  }

  #record({ id, spec: { org } }: Machine, action: string, fault?: Fault): void {
    this.#audit.record({
      timeMs: this.#parts.clock.now(),
      ...{ method: METHOD, action: `machines:${action}`, kind: "machine", object: id },
      ...{ subject: `machine:${id}`, org, token: "" },
      ...{ code: fault?.code ?? "OK", reason: fault?.reason ?? "", traceId: "", client: "inside", count: 1 },
    });
  }

  readonly #timers = new WeakMap<object, NodeJS.Timeout>();

  #limitArrival(connection: Duplex): void {
    this.#arrived(connection);
    if (connection.destroyed) return;
    const timer = setTimeout(() => connection.destroy(), this.#arrivalMs).unref();
    this.#timers.set(connection, timer);
  }

  #arrived(connection: Duplex): void {
    clearTimeout(this.#timers.get(connection));
  }
}

function headerOf({ headers }: IncomingMessage, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? value : "";
}

function answerBroken(socket: Duplex): void {
  const body = JSON.stringify({
    error: "invalid_argument: the request is not HTTP/1.1",
    reason: "BAD_REQUEST",
  });
  if (!socket.writable) return;
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

function tooMany(org: string, limit: number): Fault {
  const message = `machines of organisation ${org} on this host have ${limit} requests under way already`;
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_CALLS",
    message,
    { org, limit: String(limit) },
    { retryAfterMs: 1_000 },
  );
}
