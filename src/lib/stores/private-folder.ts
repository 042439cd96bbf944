import { chmodSync, mkdirSync, statSync } from "node:fs";
import { Fault } from "../faults/fault.ts";

/** Not among Node's constants: only owners may remove files, as in /tmp. */
const STICKY = 0o1000;

/**
 * Makes a folder that only its owner may enter. Closes one that exists, also of an earlier version.
 *
 * @throws Fault FAILED_PRECONDITION / `FOLDER_SHARED` for one like /tmp, which others need
 */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if ((statSync(path).mode & STICKY) !== 0) {
    const message = `${path} is a folder that all users share; name one of its own`;
    throw new Fault("FAILED_PRECONDITION", "FOLDER_SHARED", message, { path });
  }
  chmodSync(path, 0o700);
}
