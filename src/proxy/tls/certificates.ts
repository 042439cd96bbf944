import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import { Fault } from "../../lib/faults/fault.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";

/** How often the folder is read for changes. */
const REREAD_MS = 1_000;
/** Name of the pair for host names without a certificate, where a service allows it. */
const DEFAULT = "default";

interface Pair {
  /** Times and sizes of its files. */
  readonly seen: string;
  readonly context: SecureContext;
  /** In lower case; `*.` and a name stands for one label before it. */
  readonly names: readonly string[];
  /** When the certificate expires, in milliseconds since the epoch. */
  readonly expiryMs: number;
}

/**
 * A folder of certificates: `NAME.crt` (PEM, with its chain) and `NAME.key`. The host names are those
 * in the certificate. Changes count within two seconds; a pair that is broken leaves the one before.
 */
export class Certificates {
  readonly #folder: string;
  #pairs = new Map<string, Pair>();
  #byName = new Map<string, Pair>();
  readonly #problems = new Map<string, string>();
  readonly #stop: () => Promise<void>;

  /** @throws Fault FAILED_PRECONDITION / `CERTIFICATES_UNREADABLE` */
  constructor(folder: string) {
    this.#folder = folder;
    try {
      this.#read();
    } catch (cause) {
      throw unreadable(folder, cause);
    }
    this.#stop = startLoop(REREAD_MS, 0, () => this.#read(), { name: "read certificates" });
  }

  /** Returns the certificate of a host name. @param orDefault takes the default when it has none */
  find(hostname: string, orDefault: boolean): SecureContext | undefined {
    const wildcard = `*${hostname.slice(Math.max(0, hostname.indexOf(".")))}`;
    const found = this.#byName.get(hostname) ?? this.#byName.get(wildcard);
    return found?.context ?? (orDefault ? this.#pairs.get(DEFAULT)?.context : undefined);
  }

  /** When the first of them expires, in milliseconds since the epoch. Undefined: there are none. */
  get expiryMs(): number | undefined {
    const times = [...this.#pairs.values()].map(({ expiryMs }) => expiryMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Pairs that cannot be read. */
  get broken(): number {
    return this.#problems.size;
  }

  close(): Promise<void> {
    return this.#stop();
  }

  #read(): void {
    const pairs = new Map<string, Pair>();
    const files = new Set(readdirSync(this.#folder));
    for (const file of files) {
      const name = /^(.+)\.crt$/.exec(file)?.[1];
      // The key of one that is in use may be missing while both are replaced.
      if (name === undefined || !(files.has(`${name}.key`) || this.#pairs.has(name))) continue;
      const pair = this.#readPair(name);
      if (pair) pairs.set(name, pair);
    }
    for (const name of this.#problems.keys()) if (!files.has(`${name}.crt`)) this.#problems.delete(name);
    this.#pairs = pairs;
    // Of several with the same name, the one that expires last is served.
    const named = [...pairs].filter(([name]) => name !== DEFAULT).map(([, pair]) => pair);
    named.sort((a, b) => a.expiryMs - b.expiryMs);
    this.#byName = new Map(named.flatMap((pair) => pair.names.map((each) => [each, pair])));
  }

  #readPair(name: string): Pair | undefined {
    const before = this.#pairs.get(name);
    const [certificate, key] = [".crt", ".key"].map((suffix) => join(this.#folder, `${name}${suffix}`));
    if (certificate === undefined || key === undefined) return before;
    try {
      const seen = [certificate, key].map(fingerprint).join();
      if (seen === before?.seen) return before;
      const cert = readFileSync(certificate);
      const context = createSecureContext({ cert, key: readFileSync(key), minVersion: "TLSv1.2" });
      this.#problems.delete(name);
      logger.info("certificate read", { name });
      const x509 = new X509Certificate(cert);
      return { seen, context, names: namesOf(x509), expiryMs: x509.validToDate.getTime() };
    } catch (error) {
      // Once, and not every second until somebody mends it.
      if (this.#problems.get(name) !== String(error))
        logger.error("a certificate cannot be read", { name, isKept: before !== undefined, error });
      this.#problems.set(name, String(error));
      return before;
    }
  }
}

/** Returns the host names of a certificate. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )DNS:([^,\s"]+)/g)].map(([, name = ""]) => name.toLowerCase());
}

function fingerprint(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

function unreadable(folder: string, cause: unknown): Fault {
  const message = `cannot read certificates of ${folder}; set PROXY_CERTIFICATES to a folder`;
  return new Fault("FAILED_PRECONDITION", "CERTIFICATES_UNREADABLE", message, { folder }, { cause });
}
