import { mkdir, open, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, hexOf, parseDigest } from "../../lib/oci/digest.ts";
import { syncFolder } from "../../lib/stores/durable-file.ts";
import { isMissing } from "./files.ts";
import { OWNER, type Pin, type PinStore } from "./pins.ts";

/** Keeps pins as empty files, `<image>/<owner>`: a pin is there or it is not, whenever the power goes. */
export class PinFiles implements PinStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Reads all there are. */
  async load(): Promise<Pin[]> {
    const pins: Pin[] = [];
    for (const hex of await readdir(this.#dir)) {
      const digest = parseDigest(digestOf(hex));
      if (digest === undefined) continue;
      for (const owner of await readdir(join(this.#dir, hex)))
        if (OWNER.test(owner)) pins.push({ digest, owner });
    }
    return pins;
  }

  async add({ digest, owner }: Pin): Promise<void> {
    const dir = join(this.#dir, hexOf(digest));
    for (;;) {
      if ((await mkdir(dir, { recursive: true })) !== undefined) await syncFolder(this.#dir);
      try {
        await (await open(join(dir, owner), "w", 0o644)).close();
        await syncFolder(dir);
        return;
      } catch (err) {
        // The last pin was removed just now, and the directory with it.
        if (!isMissing(err)) throw err;
      }
    }
  }

  async remove({ digest, owner }: Pin): Promise<void> {
    const dir = join(this.#dir, hexOf(digest));
    try {
      await unlink(join(dir, owner));
      await syncFolder(dir);
    } catch (err) {
      if (!isMissing(err)) throw err;
    }
    // Fails while there are others, as it should.
    await rmdir(dir).catch(() => undefined);
  }
}
