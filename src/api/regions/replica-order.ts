/**
 * Orders replicas for a key by rendezvous hashing. Every api gets the same order, keys are spread evenly, and when a replica goes only
 * its own keys move.
 */
export function replicaOrder(key: string, addresses: readonly string[]): readonly string[] {
  return addresses
    .map((address) => ({ address, score: hash(`${key} ${address}`) }))
    .toSorted((a, b) => b.score - a.score || (a.address < b.address ? -1 : 1))
    .map(({ address }) => address);
}

/** FNV-1a with a finalizer: FNV-1a alone hardly changes its upper bits with the last characters, in which addresses differ. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
