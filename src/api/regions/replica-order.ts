/**
 * The order in which to ask replicas about something, the same for everybody who asks: each replica draws a lot for the key, the highest goes
 * first. So calls about one reservation meet at one replica, whichever api makes them, reservations are shared out evenly, and when a replica
 * goes only its own move on.
 */
export function replicaOrder(key: string, addresses: readonly string[]): readonly string[] {
  const lots = addresses.map((address) => ({ address, lot: hash(`${key} ${address}`) }));
  return lots
    .toSorted((a, b) => b.lot - a.lot || (a.address < b.address ? -1 : 1))
    .map(({ address }) => address);
}

/** FNV-1a, stirred once more: alone it hardly changes its upper bits with the last characters, which are all that tells addresses apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
