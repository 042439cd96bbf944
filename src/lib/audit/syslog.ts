import { createSocket, type Socket } from "node:dgram";
import { hostname } from "node:os";
import { cachedLookup } from "./cached-lookup.ts";

/** Facility "log audit" (13), severity "notice" (5). */
const PRIORITY = 13 * 8 + 5;
/** What receivers must take (RFC 5426, 3.2) is less; what they take is more. */
const MAX_BYTES = 2_048;

/** Sends lines to a syslog server, as RFC 5424 over UDP (RFC 5426). What is lost on the way is lost. */
export class Syslog {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #port: number;
  readonly #service: string;

  /** @param address `host:port` */
  constructor(address: string, service: string) {
    const colon = address.lastIndexOf(":");
    this.#host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    this.#port = Number(address.slice(colon + 1));
    this.#service = service;
    const type = this.#host.includes(":") ? "udp6" : "udp4";
    this.#socket = createSocket({ type, lookup: cachedLookup() }).unref();
    // Nobody listens there, or the name is not known.
    this.#socket.on("error", () => {});
  }

  send(timeMs: number, line: string): void {
    const time = new Date(timeMs).toISOString();
    const header = `<${PRIORITY}>1 ${time} ${hostname()} windhover-${this.#service} ${process.pid} audit -`;
    const message = Buffer.from(`${header} ${line}`).subarray(0, MAX_BYTES);
    this.#socket.send(message, this.#port, this.#host, () => {});
  }

  close(): void {
    this.#socket.close();
  }
}
