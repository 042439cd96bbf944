import type { Server } from "node:net";
import type { ConnectionLimits } from "../lib/limits/connection-limiter.ts";
import { clearServer } from "./http/clear-server.ts";
import type { ProxySettings } from "./http/forward/settings.ts";
import { HttpProxy } from "./http/http-proxy.ts";
import type { Router } from "./route.ts";
import { TcpPorts } from "./tcp/tcp-ports.ts";
import { Tunnels } from "./tcp/tunnels.ts";
import { Certificates } from "./tls/certificates.ts";
import { portEntrance, tlsServer } from "./tls/entrance.ts";
import { TlsFront } from "./tls/tls-front.ts";

/** How connections are taken. */
export interface DataPlaneSettings extends ProxySettings {
  /** Folder of certificates. Undefined: no TLS is ended or passed on. */
  readonly certificates: string | undefined;
  /** Address that the ports of services are listened at. */
  readonly tcpHost: string;
  /** For each listener, and all ports of services together. */
  readonly connections: ConnectionLimits;
}

/** Everything between clients and machines, except where requests go. */
export class DataPlane {
  /** For connections without TLS. Not listening yet. */
  readonly clear: Server;
  /** For connections with TLS, when there are certificates. Not listening yet. */
  readonly tls: Server | undefined;
  /** Undefined: no TLS is taken. */
  readonly certificates: Certificates | undefined;
  readonly #http: HttpProxy;
  readonly #tunnels: Tunnels;
  readonly #ports: TcpPorts;

  /** @throws Fault FAILED_PRECONDITION / `CERTIFICATES_UNREADABLE` */
  constructor(router: Router, settings: DataPlaneSettings) {
    const { certificates, connections, tcpHost } = settings;
    this.#http = new HttpProxy(router, settings);
    this.#tunnels = new Tunnels(router, settings.accessLog);
    this.certificates = certificates === undefined ? undefined : new Certificates(certificates);
    const front = this.certificates && new TlsFront(router, this.#http, this.#tunnels, this.certificates);
    this.clear = clearServer(this.#http, connections);
    this.tls = front && tlsServer(front, connections);
    this.#ports = new TcpPorts(tcpHost, connections, portEntrance(router, this.#http, this.#tunnels, front));
  }

  /** Listens at these ports of services from now on, and no others. */
  listenAt(ports: ReadonlySet<number>): Promise<void> {
    return this.#ports.set(ports);
  }

  /** Takes no more connections and requests. Resolves when no request is under way; connections that pass through go on. */
  async drain(): Promise<void> {
    this.clear.close();
    this.tls?.close();
    await this.#ports.set(new Set());
    await this.#http.drain();
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.clear.close();
    this.tls?.close();
    this.#http.close();
    this.#tunnels.close();
    await this.#ports.close();
    await this.certificates?.close();
  }
}
