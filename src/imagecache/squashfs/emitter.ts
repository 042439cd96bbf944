import type { Plan } from "../flatten/plan.ts";
import type { TarEvent } from "../tar/entry.ts";
import { encodeDirectory, encodeEntry, encodeHardLink, paddingOf } from "../tar/writer.ts";

const ZEROS = Buffer.alloc(256 * 1024);

/**
 * Turns layers, read for the second time, into the one archive that is the image: passes on the entries of the plan,
 * each under the name it has in the image, and drops the rest.
 */
export class Emitter {
  readonly #plan: Plan;
  /** The entry being passed on: what is left to do when its content is over. */
  #open: { readonly names: readonly string[]; readonly size: number } | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Whether the content of an entry is being passed on. */
  get isCopying(): boolean {
    return this.#open !== undefined;
  }

  /** What comes before the first layer: the directories no layer describes. */
  *begin(): Generator<Buffer, void, void> {
    for (const path of this.#plan.undescribed()) yield encodeDirectory(path);
  }

  /** Takes what was read; yields what is to be written. */
  *on(event: TarEvent): Generator<Buffer, void, void> {
    if (event.kind === "entry") {
      yield* this.end();
      const names = this.#plan.next();
      const [first, ...others] = names;
      if (first === undefined) return;
      yield encodeEntry(event.entry, first);
      if (event.entry.type === "file") this.#open = { names, size: event.entry.size };
      // Only files are linked: for the rest a second copy is the same to everyone who looks at it.
      else for (const other of others) yield encodeEntry(event.entry, other);
    } else if (this.#open === undefined) {
      return;
    } else if (event.kind === "data") {
      yield event.bytes;
    } else {
      for (let left = event.length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
    }
  }

  /** Closes the entry being passed on. To be called at the end of each layer. */
  *end(): Generator<Buffer, void, void> {
    if (this.#open === undefined) return;
    const { names, size } = this.#open;
    this.#open = undefined;
    const [first = "", ...others] = names;
    if (paddingOf(size) > 0) yield ZEROS.subarray(0, paddingOf(size));
    for (const other of others) yield encodeHardLink(other, first);
  }
}
