import { Fault } from "../../src/lib/faults/fault.ts";
import { IMAGE_FAULT_CODES } from "../../src/lib/oci/faults.ts";

/** A reader of what strangers send, and what must hold for every input. */
export interface Target {
  readonly name: string;
  /** Reads an input. Throws when something does not hold. */
  run(input: Buffer): void | Promise<void>;
  /** Puts checksums and lengths of a changed input right, without which it would not be read further. */
  repair?(input: Buffer): Buffer;
  /** Pieces that inputs are made of. */
  readonly words: readonly (string | Buffer)[];
}

/** Runs a reader. Returns undefined when it blames the image; throws whatever else it throws. */
export function blaming<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (err) {
    expectBlame(err);
    return undefined;
  }
}

/** Throws an error again unless it is a fault that blames the image. */
export function expectBlame(err: unknown): void {
  if (!(err instanceof Fault && Object.hasOwn(IMAGE_FAULT_CODES, err.reason))) throw err;
}

export function hold(condition: boolean, invariant: string): void {
  if (!condition) throw new Error(`does not hold: ${invariant}`);
}
