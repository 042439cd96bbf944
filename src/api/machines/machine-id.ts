/** A machine's id: 14 lower-case hex digits, of which the first five are its host's number. */
export type MachineId = string & { readonly __machineId: never };

/** The largest host number: 20 bits. */
export const MAX_HOST_NUMBER = 0xf_ffff;

const RANDOM_BITS = 36n;
const PATTERN = /^[0-9a-f]{14}$/;

/** Returns `text` as a machine id; undefined when it is none. */
export function parseMachineId(text: string): MachineId | undefined {
  // The pattern admits exactly the values of the branded type.
  return PATTERN.test(text) ? (text as MachineId) : undefined;
}

/** Returns the number of the host that owns the machine. */
export function hostNumberOf(id: MachineId): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

/**
 * Makes an id for a machine on a host.
 *
 * @param random 36 random bits; higher bits are ignored
 * @throws RangeError when the host number is not 0 to {@link MAX_HOST_NUMBER}
 */
export function newMachineId(hostNumber: number, random: bigint): MachineId {
  if (!Number.isInteger(hostNumber) || hostNumber < 0 || hostNumber > MAX_HOST_NUMBER) {
    throw new RangeError(`host number ${hostNumber} is not within 0 to ${MAX_HOST_NUMBER}`);
  }
  const id = (BigInt(hostNumber) << RANDOM_BITS) | BigInt.asUintN(Number(RANDOM_BITS), random);
  // 56 bits, padded to 14 digits, which the pattern admits.
  return id.toString(16).padStart(14, "0") as MachineId;
}
