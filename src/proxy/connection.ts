import { isIPv4, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** A client's connection. */
export interface Connection {
  /** Address of the client. */
  readonly address: string;
  /** Port of the client. */
  readonly clientPort: number;
  /** Address that the client has connected to. */
  readonly localAddress: string;
  /** Port of proxies that it came to, as services name it: 80 and 443 for the listeners of HTTP and TLS. */
  readonly port: number;
  readonly isTls: boolean;
  /** Host name that TLS began with. Empty: none. */
  readonly serverName: string;
  /** Says that the client has asked for something: until then others may have its room. Safe to call again. */
  identified(): void;
}

/**
 * Describes a connection.
 *
 * @param port of proxies, as services name it
 * @param identified see {@link Connection}
 */
export function describeConnection(socket: Socket, port: number, identified = () => {}): Connection {
  return {
    identified,
    address: plainAddress(socket.remoteAddress ?? ""),
    clientPort: socket.remotePort ?? 0,
    localAddress: plainAddress(socket.localAddress ?? ""),
    port,
    isTls: false,
    serverName: "",
  };
}

/** Describes a connection whose TLS the proxy ends. */
export function describeTls(socket: TLSSocket, port: number): Connection {
  const { servername } = socket as { servername?: string | false };
  return { ...describeConnection(socket, port), isTls: true, serverName: plainName(servername || "") };
}

/** Returns a host name of TLS as host names are looked up: in lower case, without a final dot. */
export function plainName(servername: string): string {
  return servername.toLowerCase().replace(/\.$/, "");
}

/** Returns an IPv4 address that came by a socket for IPv6 as such. */
function plainAddress(address: string): string {
  const inner = address.startsWith("::ffff:") ? address.slice(7) : "";
  return isIPv4(inner) ? inner : address;
}
