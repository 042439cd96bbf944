import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { FileConfig } from "../../../../gen/windhover/machines/v1/machine.ts";

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** Collects `/path/in/guest=local/path` of `--file-local`. */
export function fileLocal(raw: string, before: readonly FileConfig[] = []): readonly FileConfig[] {
  const [guestPath, path] = split(raw, "/path/in/guest=LOCAL_PATH");
  try {
    return [...before, { guestPath, content: readFileSync(path), mode: 0 }];
  } catch (err) {
    throw new InvalidArgumentError(`${path} cannot be read: ${err instanceof Error ? err.message : err}.`);
  }
}

/** Collects `/path/in/guest=BASE64` of `--file-literal`. */
export function fileLiteral(raw: string, before: readonly FileConfig[] = []): readonly FileConfig[] {
  const [guestPath, encoded] = split(raw, "/path/in/guest=BASE64");
  if (!BASE64.test(encoded)) throw new InvalidArgumentError(`The content of ${guestPath} is not base64.`);
  return [...before, { guestPath, content: Buffer.from(encoded, "base64"), mode: 0 }];
}

function split(raw: string, syntax: string): readonly [guestPath: string, rest: string] {
  const at = raw.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`Write ${syntax}, not "${raw}".`);
  return [raw.slice(0, at), raw.slice(at + 1)];
}
