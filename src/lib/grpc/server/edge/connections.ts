import { constants, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { type AdmittedConnection, ConnectionLimiter } from "../../../limits/connection-limiter.ts";
import { counter } from "../../../otel/metrics.ts";
import type { EdgeLimits } from "./limits.ts";
import { replaceListeners } from "./listeners.ts";
import { Credit } from "./pace/credit.ts";

const SWEEP_MS = 1_000;

const closedConnections = counter(
  "rpc_server_connections_closed_total",
  "Connections that a server closed to protect itself.",
  ["reason"],
);
for (const reason of ["full", "idle", "old", "refused", "resets"]) closedConnections.inc({ reason }, 0);

/** A connection and the streams on it. */
export interface Connection {
  readonly id: string;
  readonly admission: AdmittedConnection;
  readonly session: ServerHttp2Session;
  streams: number;
  /** When its last stream closed. */
  lastUsedMs: number;
  /** Whether a valid token has come by it. */
  isKnown: boolean;
  /** Whether that token was a service's. */
  isTrusted: boolean;
  /** Calls that were refused before that. */
  refusals: number;
  /** For calls without a token. */
  readonly openCredit: Credit;
  /** For calls that it breaks off. */
  readonly resetCredit: Credit;
}

/** The connections of a gRPC server. Closes those that show no token. */
export class Connections {
  readonly #limits: EdgeLimits;
  readonly #limiter: ConnectionLimiter;
  readonly #bySession = new WeakMap<ServerHttp2Session, Connection>();
  readonly #byAdmission = new WeakMap<AdmittedConnection, Connection>();

  #nextId = 1;

  constructor(limits: EdgeLimits) {
    this.#limits = limits;
    this.#limiter = new ConnectionLimiter(limits.connections);
  }

  of(session: ServerHttp2Session): Connection | undefined {
    return this.#bySession.get(session);
  }

  /** @param areKnown whether nobody has to show a token */
  attach(server: Http2Server, areKnown: boolean): void {
    let opening: AdmittedConnection | undefined;
    replaceListeners(server, "connection", (listeners, socket: Socket) => {
      opening = this.#limiter.admit(socket);
      if (opening) for (const listener of listeners) listener.call(server, socket);
      else closedConnections.inc({ reason: "full" });
      opening = undefined;
    });
    // Emitted by one of those listeners.
    server.on("session", (session) => {
      if (!opening) return;
      const nowMs = performance.now();
      const connection: Connection = {
        ...{ id: String(this.#nextId++), admission: opening, session, streams: 0, lastUsedMs: nowMs },
        ...{
          isKnown: false,
          isTrusted: false,
          refusals: 0,
          openCredit: new Credit(),
          resetCredit: new Credit(),
        },
      };
      this.#bySession.set(session, connection);
      this.#byAdmission.set(opening, connection);
      if (areKnown) this.identified(connection, true);
    });
    const sweep = setInterval(() => this.#closeStrangers(), SWEEP_MS).unref();
    server.once("close", () => clearInterval(sweep));
  }

  /** Notes that a valid token has come. @param isService a service's token: its connections are not bounded */
  identified(connection: Connection, isService: boolean): void {
    if (connection.isKnown) return;
    connection.isKnown = true;
    connection.isTrusted = isService;
    this.#limiter.identified(connection.admission, isService);
    const { session } = connection;
    const { service, org } = this.#limits.streams;
    if (!session.destroyed && !session.closed)
      session.settings({ maxConcurrentStreams: isService ? service : org });
  }

  /** Notes that a call was refused, and closes the connection of a stranger who goes on and on. */
  refused(connection: Connection): void {
    if (connection.isKnown) return;
    connection.refusals += 1;
    if (connection.refusals === this.#limits.newRefusals) close(connection.admission, connection, "refused");
  }

  /** Notes that a call was broken off, and closes a connection that breaks off call after call. Services may: their callers do. */
  reset(connection: Connection): void {
    if (connection.isTrusted || connection.session.destroyed) return;
    const { fresh, org } = this.#limits.resets;
    const pace = connection.isKnown ? org : fresh;
    if (!connection.resetCredit.take(pace, performance.now()))
      close(connection.admission, connection, "resets");
  }

  /** Takes the credit for a call without a token. Returns whether there was any. */
  takeCredit(connection: Connection): boolean {
    return connection.openCredit.take(this.#limits.open, performance.now());
  }

  #closeStrangers(): void {
    const nowMs = performance.now();
    const { newIdleMs, newMaxAgeMs } = this.#limits;
    for (const admission of this.#limiter.fresh()) {
      const connection = this.#byAdmission.get(admission);
      const isIdle = !connection || (connection.streams === 0 && nowMs - connection.lastUsedMs > newIdleMs);
      if (isIdle && nowMs - admission.openedMs > newIdleMs) close(admission, connection, "idle");
      else if (nowMs - admission.openedMs > newMaxAgeMs) close(admission, connection, "old");
    }
  }
}

function close(
  { socket }: AdmittedConnection,
  connection: Connection | undefined,
  reason: "idle" | "old" | "refused" | "resets",
): void {
  closedConnections.inc({ reason });
  // Its streams end with UNAVAILABLE.
  const isTooMuch = reason === "refused" || reason === "resets";
  const code = isTooMuch ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_NO_ERROR;
  if (connection) connection.session.destroy(undefined, code);
  socket.destroySoon();
}
