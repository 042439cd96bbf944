import type { AppRoute } from "./routes.ts";

/** Finds the app of a host name. */
export class Hostnames {
  /** Apps by custom host name; those that begin with `*.` without the star. */
  readonly #exact = new Map<string, string>();
  readonly #wildcards = new Map<string, string>();
  readonly #domains: readonly string[];

  /** @param domains below which each app has its name, e.g. `example.com` for `APP.example.com` */
  constructor(domains: readonly string[]) {
    this.#domains = domains.map((domain) => `.${domain}`);
  }

  add({ name, hostnames }: AppRoute): void {
    for (const hostname of hostnames) {
      const [map, key] = this.#placeOf(hostname);
      map.set(key, name);
    }
  }

  /** Takes the names of an app away. A name that another app has got meanwhile stays. */
  remove({ name, hostnames }: AppRoute): void {
    for (const hostname of hostnames) {
      const [map, key] = this.#placeOf(hostname);
      if (map.get(key) === name) map.delete(key);
    }
  }

  clear(): void {
    this.#exact.clear();
    this.#wildcards.clear();
  }

  /** Returns the name of the app that has a host name, in lower case; perhaps there is no such app. */
  find(hostname: string): string | undefined {
    const dot = hostname.indexOf(".");
    return (
      this.#exact.get(hostname) ??
      (dot > 0 ? this.#wildcards.get(hostname.slice(dot)) : undefined) ??
      this.#ofDomain(hostname)
    );
  }

  /** The label before the domain is the app; there may be more before it. */
  #ofDomain(hostname: string): string | undefined {
    for (const domain of this.#domains) {
      if (!hostname.endsWith(domain)) continue;
      const labels = hostname.slice(0, -domain.length);
      const app = labels.slice(labels.lastIndexOf(".") + 1);
      if (app !== "") return app;
    }
    return undefined;
  }

  #placeOf(hostname: string): readonly [Map<string, string>, string] {
    return hostname.startsWith("*.") ? [this.#wildcards, hostname.slice(1)] : [this.#exact, hostname];
  }
}
