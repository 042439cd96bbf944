/** A machine's id: 14 lower-case hex digits, of which the first five are its host's number. */
export type MachineId = string & { readonly __machineId: never };

/** The largest host number: 20 bits. */
export const MAX_HOST_NUMBER = 0xf_ffff;

/** What is wrong with text that is not a machine's id, for violations. */
export const MACHINE_ID_FORM = "must be 14 lower-case hex digits, e.g. 0000148ed5a2f3";

const RANDOM_BITS = 36n;
const PATTERN = /^[0-9a-f]{14}$/;

export function parseMachineId(text: string): MachineId | undefined {
  return PATTERN.test(text) ? (text as MachineId) : undefined;
}

export function hostNumberOf(id: MachineId): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

/** @param random 36 random bits; higher bits are ignored */
export function newMachineId(hostNumber: number, random: bigint): MachineId {
  if (!Number.isInteger(hostNumber) || hostNumber < 0 || hostNumber > MAX_HOST_NUMBER) {
    throw new RangeError(`host number ${hostNumber} is not within 0 to ${MAX_HOST_NUMBER}`);
  }
  const id = (BigInt(hostNumber) << RANDOM_BITS) | BigInt.asUintN(Number(RANDOM_BITS), random);
  return id.toString(16).padStart(14, "0") as MachineId;
}
