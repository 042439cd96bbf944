import { createServer, type Server, type Socket } from "node:net";
import { type ConnectionLimits, limitConnections } from "../../lib/limits/connection-limiter.ts";
import { describeConnection } from "../connection.ts";
import type { HttpProxy } from "../http/http-proxy.ts";
import { peek } from "../peek.ts";
import type { Router } from "../route.ts";
import { agreeToPostgresTls } from "../tcp/postgres-tls.ts";
import type { AcceptOnPort } from "../tcp/tcp-ports.ts";
import type { Tunnels } from "../tcp/tunnels.ts";
import type { TlsFront } from "./tls-front.ts";

/** Port of services that connections with TLS count for. */
const TLS_PORT = 443;
const KEEP_ALIVE_DELAY_MS = 60_000;
const FIRST_BYTE_MS = 15_000;
/** Type of the first record of TLS: RFC 8446 section 5.1. */
const HANDSHAKE = 22;

/** Makes the server of connections with TLS, not listening yet. */
export function tlsServer(tls: TlsFront, limits: ConnectionLimits): Server {
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
    (socket) => tls.accept(socket, TLS_PORT, () => limited.identified(socket, false)),
  );
  const limited = limitConnections(server, limits);
  return server;
}

/**
 * Returns what takes the connections of the ports of services.
 *
 * @param tls undefined: without certificates, connections that need one are closed
 */
export function portEntrance(
  router: Router,
  http: HttpProxy,
  tunnels: Tunnels,
  tls: TlsFront | undefined,
): AcceptOnPort {
  return (socket: Socket, port: number, identified: () => void) => {
    const connection = describeConnection(socket, port, identified);
    const beginTls = () => {
      if (tls) tls.accept(socket, port, identified);
      else socket.destroy();
    };
    const target = router.portTarget(port);
    if (target?.service.handlers.has("pg_tls")) agreeToPostgresTls(socket, beginTls);
    else if (target) void tunnels.run(socket, connection, target);
    else {
      const names = router.portNames(port);
      if (names?.tls && names.http)
        peek(socket, FIRST_BYTE_MS, isTls, (is) => (is ? beginTls() : http.acceptClear(socket, connection)));
      else if (names?.tls) beginTls();
      else if (names?.http) http.acceptClear(socket, connection);
      else socket.destroy();
    }
  };
}

/** Whether a connection begins as TLS does. */
function isTls(bytes: Buffer): boolean {
  return bytes[0] === HANDSHAKE;
}
