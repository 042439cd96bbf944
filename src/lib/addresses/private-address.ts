/** Where Fly has the addresses of its private networks. */
const PREFIX = ["fdaa", "0", "0", "a7b"];

/**
 * Returns the private address of a machine, which its id determines. Nothing routes it yet; clients
 * use it as an identity.
 *
 * @param machineId 14 lower-case hex digits
 */
export function privateAddress(machineId: string): string {
  // A last digit of 2 keeps the last group from being zero.
  const digits = `${machineId.padStart(15, "0")}2`;
  const groups = [0, 4, 8, 12].map((at) => digits.slice(at, at + 4).replace(/^0{1,3}/, ""));
  return shorten([...PREFIX, ...groups]);
}

/** Writes an address as RFC 5952 says: the first of the longest runs of zeros is `::`. */
function shorten(groups: readonly string[]): string {
  const full = groups.join(":");
  const runs = [...full.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = runs;
  if (longest === undefined) return full;
  return `${full.slice(0, longest.index)}:${full.slice(longest.index + longest[0].length)}`;
}
