/** A machine's id: 14 lower-case hex digits, of which the first five (20 bits) are its host's number. Made only in this file. */
export type MachineId = string & { readonly __machineId: never };

/** The largest host number: 20 bits. */
export const MAX_HOST_NUMBER = 0xf_ffff;

const RANDOM_BITS = 36n;
const PATTERN = /^[0-9a-f]{14}$/;

/** Returns `text` as a machine id, or undefined when it is not one. */
export function parseMachineId(text: string): MachineId | undefined {
  // The expression admits exactly what a machine id is.
  return PATTERN.test(text) ? (text as MachineId) : undefined;
}

/** The number of the host that owns the machine: the id is the route. */
export function hostNumberOf(id: MachineId): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

/**
 * A new id for a machine on a host.
 *
 * @param hostNumber 0 to {@link MAX_HOST_NUMBER}
 * @param random supplies 36 random bits; larger values are cut
 * @throws RangeError when the host number does not fit in 20 bits
 */
export function newMachineId(hostNumber: number, random: bigint): MachineId {
  if (!Number.isInteger(hostNumber) || hostNumber < 0 || hostNumber > MAX_HOST_NUMBER) {
    throw new RangeError(`host number ${hostNumber} is not within 0 to ${MAX_HOST_NUMBER}`);
  }
  const low = BigInt.asUintN(Number(RANDOM_BITS), random);
  const id = (BigInt(hostNumber) << RANDOM_BITS) | low;
  // 56 bits, padded to 14 digits: the form that parseMachineId admits.
  return id.toString(16).padStart(14, "0") as MachineId;
}
