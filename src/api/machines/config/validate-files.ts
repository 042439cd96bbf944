import type { GuestFile } from "../machine.ts";
import { bytes, type Check, CONTROL, printable } from "./text.ts";

const MAX_FILES = 64;
const MAX_MODE = 0o7777;
/** Limits of Linux. */
const MAX_PATH_BYTES = 4_095;
const MAX_NAME_BYTES = 255;

/** Checks the files that are written into the guest. Their content counts toward the configuration. */
export function checkFiles(files: readonly GuestFile[], check: Check): void {
  const { length } = files;
  check(length <= MAX_FILES, "files", `must have at most ${MAX_FILES} entries, not ${length}`);
  const own = files.slice(0, MAX_FILES);
  const paths = new Set<string>();
  for (const [i, { guestPath, mode }] of own.entries()) {
    const at = `files[${i}]`;
    check(isFilePath(guestPath), `${at}.guest_path`, pathProblem(guestPath));
    const isNew = !paths.has(guestPath);
    check(isNew, `${at}.guest_path`, `${printable(guestPath)} is there already: each path once`);
    paths.add(guestPath);
    const isMode = mode >= 0 && mode <= MAX_MODE;
    check(isMode, `${at}.mode`, "must be permission bits: 0 to 07777, which is 4095");
  }
  for (const [i, { guestPath }] of own.entries()) {
    const folder = own.find((other) => other.guestPath !== "" && guestPath.startsWith(`${other.guestPath}/`));
    const description = `is inside ${printable(folder?.guestPath ?? "")}, which is a file too`;
    check(folder === undefined, `files[${i}].guest_path`, description);
  }
}

function isFilePath(path: string): boolean {
  if (!path.startsWith("/") || bytes(path) > MAX_PATH_BYTES) return false;
  if (CONTROL.test(path) || !path.isWellFormed()) return false;
  const names = path.slice(1).split("/");
  return names.every((name) => !["", ".", ".."].includes(name) && bytes(name) <= MAX_NAME_BYTES);
}

function pathProblem(path: string): string {
  const rule = "must be an absolute path of a file without . and .. in it, e.g. /etc/app.conf";
  return path === "" ? `is required: it ${rule}` : `${rule}, not "${printable(path)}"`;
}
