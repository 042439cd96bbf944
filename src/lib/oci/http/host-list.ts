/** A list of `host` (any port) and `host:port` entries, by name: `127.0.0.1` is not `localhost`. */
export class HostList {
  readonly #entries: ReadonlySet<string>;

  constructor(entries: readonly string[]) {
    this.#entries = new Set(entries.map((entry) => entry.toLowerCase()));
  }

  has(url: URL): boolean {
    const { hostname, port, protocol } = url;
    const usual = protocol === "https:" ? "443" : "80";
    return this.#entries.has(hostname) || this.#entries.has(`${hostname}:${port || usual}`);
  }
}
