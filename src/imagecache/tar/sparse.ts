import { BLOCK, parseDecimal, readNumber } from "./fields.ts";
import { layerFault } from "./layer-fault.ts";
import type { PaxRecords } from "./pax.ts";

export interface Stretch {
  readonly offset: number;
  readonly length: number;
}

/** Real files have far fewer. */
const MAX_STRETCHES = 100_000;

/** Reads the map in a header of GNU's old format, or in one of its extension blocks. */
export function oldStretches(block: Buffer, at: number, count: number): Stretch[] {
  const stretches: Stretch[] = [];
  for (let i = 0; i < count && block[at + 24 * i] !== 0; i++) {
    stretches.push({
      offset: readNumber(block, at + 24 * i, 12),
      length: readNumber(block, at + 24 * i + 12, 12),
    });
  }
  return stretches;
}

/** Reads the map in extended headers of the forms 0.0 and 0.1; undefined when there is none. */
export function paxStretches(records: PaxRecords): Stretch[] | undefined {
  const text = records.values.get("GNU.sparse.map");
  const numbers = text === undefined ? records.stretches : text.split(",");
  if (numbers.length === 0) return undefined;
  return pairs(numbers);
}

/** Reads the map of the form 1.0: lines of decimal digits before the data, padded to whole blocks. */
export class SparseMapReader {
  readonly #numbers: string[] = [];
  #rest = "";

  /** Takes one block; returns the map once it is complete. */
  push(block: Buffer): Stretch[] | undefined {
    const lines = (this.#rest + block.toString("latin1", 0, BLOCK)).split("\n");
    this.#rest = lines.pop() ?? "";
    this.#numbers.push(...lines);
    const count = parseDecimal(this.#numbers[0] ?? "0", "sparse map");
    checkCount(count);
    if (this.#rest.length > BLOCK) throw layerFault("LAYER_CORRUPT", "a sparse file's map has no lines");
    if (this.#numbers.length <= 2 * count || this.#numbers.length === 0) return undefined;
    return pairs(this.#numbers.slice(1, 1 + 2 * count));
  }
}

/** Checks that stretches are in order, do not overlap, lie within the file and fit the data. */
export function checkStretches(
  stretches: readonly Stretch[],
  size: number,
  stored: number,
): readonly Stretch[] {
  checkCount(stretches.length);
  let end = 0;
  let data = 0;
  for (const { offset, length } of stretches) {
    if (offset < end || length < 0 || offset + length > size) {
      throw layerFault("LAYER_CORRUPT", "a sparse file's map is out of order or reaches beyond its end");
    }
    end = offset + length;
    data += length;
  }
  if (data !== stored) throw layerFault("LAYER_CORRUPT", "a sparse file's map does not fit its data");
  return stretches;
}

function pairs(numbers: readonly string[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const offset = parseDecimal(numbers[i] ?? "", "sparse map");
    stretches.push({ offset, length: parseDecimal(numbers[i + 1] ?? "", "sparse map") });
  }
  return stretches;
}

/** @throws Fault `LAYER_TOO_LARGE` when a file has more stretches than the limit */
export function checkCount(count: number): void {
  if (count <= MAX_STRETCHES) return;
  const facts = { limit: `${MAX_STRETCHES} fragments of a sparse file`, value: String(count) };
  throw layerFault("LAYER_TOO_LARGE", `a sparse file has more than ${MAX_STRETCHES} fragments`, facts);
}
