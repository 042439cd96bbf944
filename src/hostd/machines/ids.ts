import type { MachineId } from "./machine.ts";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Makes the ids that hostd gives out. */
export class Ids {
  readonly #random: (bytes: number) => Uint8Array;
  #lastMs = 0;
  #lastTail = 0n;

  /** @param random as many random bytes as asked for */
  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random;
  }

  /** A ULID. Each is greater than all before it, also within one millisecond and when the clock goes back. */
  event(nowMs: number): string {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      // The top bit stays free, so that counting up never overflows in practice.
      this.#lastTail = bits(this.#random(10)) >> 1n;
    } else {
      this.#lastTail += 1n;
    }
    return encode(BigInt(this.#lastMs), 10) + encode(this.#lastTail, 16);
  }

  /** Names a VM of a machine; never given twice. */
  vm(machine: MachineId): string {
    return `${machine}-${Buffer.from(this.#random(6)).toString("hex")}`;
  }
}

/** The machine that a VM was made for, by the VM's id. */
export function machineOfVm(vmId: string): string {
  return vmId.slice(0, 14);
}

function bits(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function encode(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest >>= 5n) text = CROCKFORD[Number(rest & 31n)] + text;
  return text;
}
