import { isIPv6, type Server, type Socket } from "node:net";
import { type Clock, systemClock } from "../runtime/clock.ts";

/** How many connections a server accepts. */
export interface ConnectionLimits {
  /** Of all addresses together. */
  readonly total: number;
  readonly perAddress: number;
  /** The same for connections that have not proven who they are yet. */
  readonly newTotal: number;
  readonly newPerAddress: number;
}

/** A connection that {@link ConnectionLimiter.admit} has accepted. */
export interface AdmittedConnection {
  readonly socket: Socket;
  /** IPv4 address, IPv6 network of 64 bits, or `local` for a unix socket. */
  readonly address: string;
  readonly openedMs: number;
}

/** A new connection is not evicted before this age, so that it can prove who it is. */
const MIN_AGE_MS = 1_000;

interface Peer {
  readonly address: string;
  /** All but trusted ones. */
  count: number;
  /** In the order of their arrival. */
  readonly fresh: Set<AdmittedConnection>;
}

/**
 * Bounds the connections of a server, in total and per address. When new ones fill their share, the oldest of them makes
 * room for the next, so that somebody who opens connections and says nothing keeps nobody out.
 */
export class ConnectionLimiter {
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();
  readonly #trusted = new WeakSet<AdmittedConnection>();
  readonly #left = new WeakSet<AdmittedConnection>();
  #count = 0;
  #fresh = 0;

  constructor(limits: ConnectionLimits, clock: Clock = systemClock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Those that have not proven who they are, oldest first for each address. */
  *fresh(): Generator<AdmittedConnection> {
    for (const peer of this.#peers.values()) yield* peer.fresh;
  }

  /** Takes a new connection, or closes it and returns undefined. */
  admit(socket: Socket): AdmittedConnection | undefined {
    const { total, perAddress, newTotal, newPerAddress } = this.#limits;
    const address = addressOf(socket);
    const peer = this.#peers.get(address) ?? { address, count: 0, fresh: new Set() };
    const hasRoom =
      (peer.fresh.size < newPerAddress || this.#evict(peer)) &&
      (this.#fresh < newTotal || this.#evict(this.#busiest())) &&
      (peer.count < perAddress || this.#evict(peer)) &&
      (this.#count < total || this.#evict(this.#busiest()));
    if (!hasRoom) {
      socket.destroy();
      return undefined;
    }
    const connection = { socket, address, openedMs: this.#clock.monotonicMs() };
    this.#peers.set(address, peer);
    peer.count += 1;
    peer.fresh.add(connection);
    this.#count += 1;
    this.#fresh += 1;
    socket.once("close", () => this.#leave(peer, connection));
    return connection;
  }

  /** Notes that a connection has proven who it is. @param isTrusted a service's, which counts no more */
  identified(connection: AdmittedConnection, isTrusted: boolean): void {
    const peer = this.#peers.get(connection.address);
    if (!peer?.fresh.delete(connection)) return;
    this.#fresh -= 1;
    if (!isTrusted) return;
    this.#trusted.add(connection);
    this.#uncount(peer);
  }

  /** Closes the oldest new connection of a peer that had its time. Returns whether there was one. */
  #evict(peer: Peer | undefined): boolean {
    const [oldest] = peer?.fresh ?? [];
    if (!peer || !oldest || this.#clock.monotonicMs() - oldest.openedMs < MIN_AGE_MS) return false;
    oldest.socket.destroy();
    this.#leave(peer, oldest);
    return true;
  }

  #busiest(): Peer | undefined {
    let busiest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (peer.fresh.size > (busiest?.fresh.size ?? 0)) busiest = peer;
    }
    return busiest;
  }

  #leave(peer: Peer, connection: AdmittedConnection): void {
    const wasFresh = peer.fresh.delete(connection);
    if (wasFresh) this.#fresh -= 1;
    // An evicted connection leaves twice.
    if (this.#left.has(connection)) return;
    this.#left.add(connection);
    if (!this.#trusted.has(connection)) this.#uncount(peer);
  }

  #uncount(peer: Peer): void {
    peer.count -= 1;
    this.#count -= 1;
    if (peer.count === 0 && peer.fresh.size === 0 && this.#peers.get(peer.address) === peer)
      this.#peers.delete(peer.address);
  }
}

/** The bounded connections of an HTTP server. */
export interface LimitedServer {
  /** Notes that a connection has proven who it is. @param isTrusted a service's, which counts no more */
  identified(socket: Socket, isTrusted: boolean): void;
}

/** Bounds the connections of an HTTP server. */
export function limitConnections(server: Server, limits: ConnectionLimits): LimitedServer {
  const limiter = new ConnectionLimiter(limits);
  const admitted = new WeakMap<Socket, AdmittedConnection>();
  server.prependListener("connection", (socket) => {
    // Node takes its own away before it hands a connection over, for CONNECT or another protocol. Without any, its
    // error would end the process.
    socket.on("error", () => {});
    const connection = limiter.admit(socket);
    if (connection) admitted.set(socket, connection);
  });
  return {
    identified(socket, isTrusted) {
      const connection = admitted.get(socket);
      if (connection) limiter.identified(connection, isTrusted);
    },
  };
}

function addressOf({ remoteAddress }: Socket): string {
  const address = remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "") ?? "local";
  return isIPv6(address) ? networkOf(address) : address;
}

/** Returns the first 64 bits: one subscriber usually has all addresses below them. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => "0");
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}
