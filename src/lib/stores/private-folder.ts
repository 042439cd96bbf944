import { chmodSync, mkdirSync } from "node:fs";

/** Makes a folder that only its owner may enter. Closes one that exists, also of an earlier version. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}
