import { hash } from "node:crypto";

/**
 * Orders replicas for a key by rendezvous hashing: the same order in every api, an even spread, and
 * when a replica goes, only its own keys move.
 */
export function replicaOrder(key: string, addresses: readonly string[]): readonly string[] {
  return addresses
    .map((address) => ({ address, score: hash("sha1", `${key} ${address}`) }))
    .toSorted((a, b) => (a.score < b.score ? -1 : 1))
    .map(({ address }) => address);
}
