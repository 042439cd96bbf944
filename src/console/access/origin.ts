import type { IncomingHttpHeaders } from "node:http";
import { Fault } from "../../lib/faults/fault.ts";

/** Names of this machine, which no foreign page can have. */
const LOOPBACK: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];

/** The addresses at which browsers see the console. */
export class Origins {
  /** Of links. */
  readonly own: string;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  /** @param publicUrl where a proxy serves the console; undefined: nowhere */
  constructor(port: number, publicUrl: string | undefined) {
    const local = LOOPBACK.map((name) => `${name}:${port}`);
    const url = publicUrl === undefined ? undefined : new URL(publicUrl);
    this.own = url?.origin ?? `http://127.0.0.1:${port}`;
    this.#hosts = new Set([...local, ...(url ? [url.host] : [])]);
    this.#origins = new Set([...local.map((host) => `http://${host}`), ...(url ? [url.origin] : [])]);
  }

  /** Whether cookies must not travel over plain HTTP. */
  get isSecure(): boolean {
    return this.own.startsWith("https:");
  }

  /**
   * Refuses requests for other names, with which a page of theirs could have this one's answers (DNS
   * rebinding), and requests that pages of other origins make. Ports of a host are different origins
   * although they share cookies.
   *
   * @throws Fault PERMISSION_DENIED / `HOST_FORBIDDEN`, `ORIGIN_FORBIDDEN`
   */
  check(headers: IncomingHttpHeaders, isNavigation: boolean): void {
    const host = headers.host?.toLowerCase() ?? "";
    if (!this.#hosts.has(host)) {
      const message = "the console is not served under this name; CONSOLE_URL names another";
      throw new Fault("PERMISSION_DENIED", "HOST_FORBIDDEN", message, { host: host.slice(0, 200) });
    }
    const { origin } = headers;
    const site = headers["sec-fetch-site"];
    const isForeign = origin !== undefined && !this.#origins.has(origin);
    const isCrossSite = site !== undefined && site !== "same-origin" && site !== "none";
    // Links lead here from anywhere, as far as they open a page.
    if (isForeign || (isCrossSite && !(isNavigation && isDocument(headers)))) {
      const message = "pages of other origins may not ask the console";
      throw new Fault("PERMISSION_DENIED", "ORIGIN_FORBIDDEN", message, {
        origin: String(origin ?? site).slice(0, 200),
      });
    }
  }
}

function isDocument(headers: IncomingHttpHeaders): boolean {
  return headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}
