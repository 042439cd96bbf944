import type { Socket } from "node:net";
import { createServer, type SecureContext, type SecureVersion, type Server, TLSSocket } from "node:tls";
import { describeConnection, describeTls, plainName } from "../connection.ts";
import type { HttpProxy } from "../http/http-proxy.ts";
import { peek } from "../peek.ts";
import { ProxyError } from "../proxy-error.ts";
import type { Router, Target } from "../route.ts";
import type { Tunnels } from "../tcp/tunnels.ts";
import type { Certificates } from "./certificates.ts";
import { readClientHello } from "./client-hello.ts";

const HELLO_MS = 15_000;
/** Alerts of TLS: RFC 8446 section 6. */
const ALERT = { unrecognizedName: 112, decodeError: 50 } as const;

/**
 * Serves connections that begin with TLS, by the host name that they begin with: ends TLS where the
 * service has the handler `tls`, and passes the bytes through where it has not.
 */
export class TlsFront {
  readonly #router: Router;
  readonly #http: HttpProxy;
  readonly #tunnels: Tunnels;
  readonly #certificates: Certificates;
  /** By port of proxies and the versions that they offer. */
  readonly #servers = new Map<string, Server>();

  constructor(router: Router, http: HttpProxy, tunnels: Tunnels, certificates: Certificates) {
    this.#router = router;
    this.#http = http;
    this.#tunnels = tunnels;
    this.#certificates = certificates;
  }

  /**
   * Serves a connection.
   *
   * @param port of proxies, as services name it
   * @param identified see Connection
   */
  accept(socket: Socket, port: number, identified: () => void): void {
    socket.on("error", () => socket.destroy());
    peek(socket, HELLO_MS, readClientHello, (hello) => {
      if (hello === "invalid") return refuse(socket, ALERT.decodeError);
      const target = this.#target(hello.serverName, port);
      if (!target) return refuse(socket, ALERT.unrecognizedName);
      if (!endsTls(target)) {
        const plain = describeConnection(socket, port, identified);
        const connection = { ...plain, serverName: hello.serverName };
        void this.#tunnels.run(socket, connection, target);
        return;
      }
      const context = this.#context(hello.serverName, target);
      if (!context) return refuse(socket, ALERT.unrecognizedName);
      // The rest has times of its own.
      identified();
      if (hello.serverName === "") this.#endNameless(socket, port, target, context);
      else this.#server(port, target.service.tls.versions).emit("connection", socket);
    });
  }

  /** Node's server asks for no certificate of a client that names no host. */
  #endNameless(socket: Socket, port: number, { service }: Target, secureContext: SecureContext): void {
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    const limit = setTimeout(() => socket.destroy(), HELLO_MS);
    secure.once("close", () => clearTimeout(limit)).on("error", () => socket.destroy());
    secure.once("secure", () => {
      clearTimeout(limit);
      const version = secure.getProtocol();
      if (service.tls.versions.some((each) => each === version)) this.#secured(secure, port);
      else socket.destroy();
    });
  }

  #server(port: number, versions: readonly SecureVersion[]): Server {
    const [minVersion = "TLSv1.2", maxVersion = minVersion] = [...versions].sort();
    const key = `${port} ${minVersion} ${maxVersion}`;
    const server = this.#servers.get(key) ?? this.#makeServer(port, minVersion, maxVersion);
    this.#servers.set(key, server);
    return server;
  }

  #makeServer(port: number, minVersion: SecureVersion, maxVersion: SecureVersion): Server {
    const server = createServer({
      minVersion,
      maxVersion,
      handshakeTimeout: HELLO_MS,
      SNICallback: (hostname, done) => {
        const name = plainName(hostname);
        const target = this.#target(name, port);
        const context = target && this.#context(name, target);
        if (context) done(null, context);
        else done(new Error("no certificate"));
      },
      ALPNCallback: ({ servername, protocols }) => {
        const target = this.#target(plainName(servername), port);
        // Programs without the handler http speak what their clients ask for.
        if (!target?.service.handlers.has("http")) return protocols[0];
        return target.service.tls.alpn.find((each) => protocols.includes(each));
      },
    });
    server.on("secureConnection", (socket) => this.#secured(socket, port));
    // A client that leaves, or does not take the certificate.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  #secured(socket: TLSSocket, port: number): void {
    socket.on("error", () => socket.destroy());
    const connection = describeTls(socket, port);
    const target = this.#target(connection.serverName, port);
    if (!target) {
      socket.destroy();
      return;
    }
    if (!target.service.handlers.has("http")) {
      void this.#tunnels.run(socket, connection, target);
      return;
    }
    const isH2 = socket.alpnProtocol === "h2";
    this.#http.accept(socket, connection, isH2, target.service.http.headersReadTimeoutMs);
  }

  #context(hostname: string, { service }: Target) {
    return this.#certificates.find(hostname, service.tls.defaultSelfSigned);
  }

  /** The app of a host name, or else the one that has the port for itself. */
  #target(hostname: string, port: number): Target | undefined {
    try {
      const target = hostname === "" ? undefined : this.#router.target(hostname, port);
      if (target) return target;
    } catch (error) {
      // The app has no service there.
      if (!(error instanceof ProxyError)) throw error;
    }
    return port === TLS_PORT ? undefined : this.#router.portTarget(port);
  }
}

const TLS_PORT = 443;

function endsTls({ service: { handlers } }: Target): boolean {
  return handlers.has("tls") || handlers.has("pg_tls");
}

function refuse(socket: Socket, alert: number): void {
  socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert]), () => socket.destroySoon());
}
