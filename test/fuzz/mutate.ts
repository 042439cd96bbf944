import type { Target } from "./target.ts";

/** Longest input. Longer ones find little more and take longer. */
const MAX_LENGTH = 8 * 1024;
const INTERESTING = [0, 1, 16, 32, 64, 100, 127, 128, 255];

/** A source of random numbers that repeats itself from a seed (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(1, limit);
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}

/** Changes an input in a few random ways. */
export function mutate(input: Buffer, others: readonly Buffer[], target: Target, dice: Dice): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + dice.below(4); left > 0; left--) bytes = change(bytes, others, target, dice);
  bytes = bytes.subarray(0, MAX_LENGTH);
  // Sometimes what is wrong should stay wrong.
  return target.repair && dice.below(8) > 0 ? target.repair(bytes) : bytes;
}

function change(bytes: Buffer, others: readonly Buffer[], target: Target, dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1);
  const length = 1 + dice.below(dice.below(4) === 0 ? 1024 : 16);
  const rest = bytes.subarray(at + length);
  switch (dice.below(9)) {
    case 0:
      return set(bytes, at, (bytes[at] ?? 0) ^ (1 << dice.below(8)));
    case 1:
      return set(bytes, at, dice.below(256));
    case 2:
      return set(bytes, at, dice.pick(INTERESTING) ?? 0);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), rest]);
    case 4: {
      const from = dice.below(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + length), bytes.subarray(at)]);
    }
    case 5: {
      const word = Buffer.from(dice.pick(target.words) ?? "");
      return Buffer.concat([
        bytes.subarray(0, at),
        word,
        bytes.subarray(dice.below(2) ? at : at + word.length),
      ]);
    }
    case 6: {
      const other = dice.pick(others) ?? bytes;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(dice.below(other.length))]);
    }
    case 7: {
      // Whole blocks, of which archives are made.
      const block = 512 * dice.below(Math.ceil(bytes.length / 512));
      const other = dice.pick(others) ?? bytes;
      const from = 512 * dice.below(Math.ceil(other.length / 512));
      const some = other.subarray(from, from + 512 * (1 + dice.below(4)));
      return Buffer.concat([
        bytes.subarray(0, block),
        some,
        bytes.subarray(block + (dice.below(2) ? 0 : some.length)),
      ]);
    }
    default:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(length, dice.below(256)),
        bytes.subarray(at),
      ]);
  }
}

function set(bytes: Buffer, at: number, value: number): Buffer {
  if (at < bytes.length) bytes[at] = value;
  return bytes;
}
