import type { AttachedHost } from "./attached-host.ts";

/** Images kept of one host; the others are ignored. */
const MAX_IMAGES = 4_096;
/**
 * Images of all hosts: 200 for each of 10,000 hosts. The index of 5,000 hosts with 200 images each
 * takes 16 MB when all share a thousand images, and 35 MB when no two have an image in common.
 */
const MAX_PAIRS = 2_000_000;

/**
 * Index from image hints to the hosts that sent them. A hint is the first four bytes of a digest, so
 * two images may share one. That costs a bid request and no more.
 */
export class ImageHosts {
  /** Most images of a fleet may be on one host only: an array for each would cost more. */
  readonly #byHint = new Map<number, AttachedHost | AttachedHost[]>();
  /** Sorted, without repeats. */
  readonly #hints = new Map<AttachedHost, Int32Array>();
  readonly #maxPairs: number;
  #pairs = 0;

  /** @param maxPairs pairs of host and image; more are ignored */
  constructor(maxPairs = MAX_PAIRS) {
    this.#maxPairs = maxPairs;
  }

  /** Replaces the hints of a host. Touches only what has changed. */
  set(host: AttachedHost, hints: readonly number[]): void {
    const before = this.#hints.get(host) ?? NONE;
    const room = this.#maxPairs - this.#pairs + before.length;
    const sorted = new Int32Array(hints.slice(0, Math.min(MAX_IMAGES, room))).sort();
    const distinct = sorted.filter((hint, i) => i === 0 || hint !== sorted[i - 1]);
    this.#replace(host, before, distinct);
  }

  drop(host: AttachedHost): void {
    this.#replace(host, this.#hints.get(host) ?? NONE, NONE);
  }

  /** Returns the hosts that seem to have an image, in an array that may change with the next `set`. */
  of(imageDigest: string): readonly AttachedHost[] {
    const hint = hintOf(imageDigest);
    const hosts = hint === undefined ? undefined : this.#byHint.get(hint);
    if (hosts === undefined) return [];
    return Array.isArray(hosts) ? hosts : [hosts];
  }

  #replace(host: AttachedHost, before: Int32Array, after: Int32Array): void {
    let [i, j] = [0, 0];
    while (i < before.length || j < after.length) {
      const old = before[i] ?? Number.POSITIVE_INFINITY;
      const fresh = after[j] ?? Number.POSITIVE_INFINITY;
      if (old < fresh) this.#remove(old, host);
      if (fresh < old) this.#add(fresh, host);
      if (old <= fresh) i++;
      if (fresh <= old) j++;
    }
    this.#pairs += after.length - before.length;
    if (after.length > 0) this.#hints.set(host, after);
    else this.#hints.delete(host);
  }

  #add(hint: number, host: AttachedHost): void {
    const hosts = this.#byHint.get(hint);
    if (hosts === undefined) this.#byHint.set(hint, host);
    else if (Array.isArray(hosts)) hosts.push(host);
    else this.#byHint.set(hint, [hosts, host]);
  }

  #remove(hint: number, host: AttachedHost): void {
    const hosts = this.#byHint.get(hint);
    if (!Array.isArray(hosts) || hosts.length === 1) {
      this.#byHint.delete(hint);
      return;
    }
    const last = hosts.pop();
    if (last !== undefined && last !== host) hosts[hosts.indexOf(host)] = last;
  }
}

const NONE = new Int32Array();
const SHA256 = "sha256:";

/** Returns the first four bytes of a sha256 as a signed integer, which engines store in place. */
function hintOf(digest: string): number | undefined {
  if (!digest.startsWith(SHA256)) return undefined;
  const first = Number.parseInt(digest.slice(SHA256.length, SHA256.length + 8), 16);
  return Number.isNaN(first) ? undefined : first | 0;
}
