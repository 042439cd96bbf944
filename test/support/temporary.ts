import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Part } from "../../dev/supervisor/part.ts";

/** A folder that goes when the test does. */
export interface TemporaryFolder {
  readonly path: string;
  remove(): void;
}

/** Makes one. Its path is short: unix sockets in it have 107 bytes for theirs. */
export function temporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `wh-${name}-`));
  chmodSync(path, 0o700);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the part that lives in the folder; when it does not start, the folder goes at once. */
export async function startOrRemove(part: Part, folder: TemporaryFolder): Promise<void> {
  try {
    await part.start();
  } catch (cause) {
    folder.remove();
    throw cause;
  }
}
