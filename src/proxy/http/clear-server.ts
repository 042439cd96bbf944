import { createServer, type Server } from "node:net";
import { type ConnectionLimits, limitConnections } from "../../lib/limits/connection-limiter.ts";
import { describeConnection } from "../connection.ts";
import type { HttpProxy } from "./http-proxy.ts";

/** Port of services that connections without TLS count for. */
const PORT = 80;
const KEEP_ALIVE_DELAY_MS = 60_000;

/** Makes the server of connections without TLS, not listening yet. */
export function clearServer(proxy: HttpProxy, limits: ConnectionLimits): Server {
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
    (socket) => {
      const identified = () => limited.identified(socket, false);
      proxy.acceptClear(socket, describeConnection(socket, PORT, identified));
    },
  );
  const limited = limitConnections(server, limits);
  return server;
}
