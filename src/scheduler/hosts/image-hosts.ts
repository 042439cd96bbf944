import type { AttachedHost } from "./attached-host.ts";

/** Images taken in of one host. What it says beyond these is not listened to. */
const MAX_IMAGES = 4_096;
/**
 * Images of all hosts taken together: 200 each at the bound of 10,000 hosts. Measured for 5,000 hosts with 200 each, it takes 16 MB when a
 * thousand images are shared by all and 35 MB when no two hosts have one in common. A set for every image would be 25 and 185 MB.
 */
const MAX_PAIRS = 2_000_000;

/**
 * Which attached hosts said they have which images. By the first four bytes of the digest: two images that share them are taken for one, which
 * costs a host asked in vain and no more.
 */
export class ImageHosts {
  /** A host alone where there is but one, since most images of a fleet may be such. */
  readonly #byHint = new Map<number, AttachedHost | AttachedHost[]>();
  /** Sorted, each hint once. */
  readonly #hints = new Map<AttachedHost, Int32Array>();
  readonly #maxPairs: number;
  #pairs = 0;

  /** @param maxPairs hosts times images remembered; more are left out, so that these hosts are found by chance only */
  constructor(maxPairs = MAX_PAIRS) {
    this.#maxPairs = maxPairs;
  }

  /** Takes in what a host has now, in place of what it had. Costs what has changed, besides sorting. */
  set(host: AttachedHost, hints: readonly number[]): void {
    const before = this.#hints.get(host) ?? NONE;
    const room = this.#maxPairs - this.#pairs + before.length;
    const sorted = new Int32Array(hints.slice(0, Math.min(MAX_IMAGES, room))).sort();
    const distinct = sorted.filter((hint, i) => i === 0 || hint !== sorted[i - 1]);
    this.#replace(host, before, distinct);
  }

  /** Forgets a host. */
  drop(host: AttachedHost): void {
    this.#replace(host, this.#hints.get(host) ?? NONE, NONE);
  }

  /** The hosts that seem to have an image, in no particular order. Changes as soon as any host says something new. */
  of(imageDigest: string): readonly AttachedHost[] {
    const hint = hintOf(imageDigest);
    const hosts = hint === undefined ? undefined : this.#byHint.get(hint);
    if (hosts === undefined) return [];
    return Array.isArray(hosts) ? hosts : [hosts];
  }

  #replace(host: AttachedHost, before: Int32Array, now: Int32Array): void {
    let [i, j] = [0, 0];
    while (i < before.length || j < now.length) {
      const old = before[i] ?? Number.POSITIVE_INFINITY;
      const anew = now[j] ?? Number.POSITIVE_INFINITY;
      if (old < anew) this.#remove(old, host);
      if (anew < old) this.#add(anew, host);
      if (old <= anew) i++;
      if (anew <= old) j++;
    }
    this.#pairs += now.length - before.length;
    if (now.length > 0) this.#hints.set(host, now);
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
    // The last one takes its place.
    const last = hosts.pop();
    if (last !== undefined && last !== host) hosts[hosts.indexOf(host)] = last;
  }
}

const NONE = new Int32Array();

/** The first four bytes of a sha256; none for another kind of digest. Signed, as what is kept: small integers to the engine. */
function hintOf(digest: string): number | undefined {
  if (!digest.startsWith(SHA256)) return undefined;
  const first = Number.parseInt(digest.slice(SHA256.length, SHA256.length + 8), 16);
  return Number.isNaN(first) ? undefined : first | 0;
}

const SHA256 = "sha256:";
