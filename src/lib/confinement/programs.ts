import { lstatSync, readlinkSync } from "node:fs";

/** Returns arguments for bubblewrap that show the host's programs and libraries, read-only, and nothing else of it. */
export function showPrograms(): string[] {
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...["/bin", "/sbin", "/lib", "/lib64"].flatMap(bindOrLink),
    // Made implicitly by bubblewrap, the folder would be closed to other users.
    ...["--perms", "0755", "--dir", "/etc"],
    ...["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"],
  ];
}

/** Repeats a folder of the host's root, which on most systems is a link into /usr. */
function bindOrLink(path: string): string[] {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return [];
  return entry.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
}
