import { writeRevocations } from "../../lib/auth/revocation-file.ts";
import type { RevocationList, Revocations } from "../../lib/auth/revocations.ts";
import { logger } from "../../lib/runtime/log.ts";

/** Takes the list of revocations over from Postgres, and keeps it in a file for the next start. */
export class RevocationSync {
  readonly #store: { changedRevocations(known: number): Promise<RevocationList | undefined> };
  readonly #revocations: Revocations;
  readonly #path: string;
  #last: Promise<void> = Promise.resolve();

  constructor(
    store: { changedRevocations(known: number): Promise<RevocationList | undefined> },
    revocations: Revocations,
    path: string,
  ) {
    this.#store = store;
    this.#revocations = revocations;
    this.#path = path;
  }

  /** Returns once everything counts here that was in Postgres at the time of the call. */
  refresh(): Promise<void> {
    // One after another: the file has one writer.
    this.#last = this.#last.catch(() => {}).then(() => this.#takeOver());
    return this.#last;
  }

  async #takeOver(): Promise<void> {
    const list = await this.#store.changedRevocations(this.#revocations.list.version);
    if (!list || !this.#revocations.replace(list)) return;
    try {
      await writeRevocations(this.#path, list);
    } catch (error) {
      // It counts all the same, and is written with the next change.
      logger.error("the list of revocations cannot be written", { path: this.#path, error });
    }
  }
}
