import type { FileConfig } from "../gen/windhover/machines/v1/machine.ts";

/** The content of a file, alone or with its permission bits. */
export type FileContent =
  | string
  | Uint8Array
  | { readonly content: string | Uint8Array; readonly mode?: number };

/**
 * Makes `config.files` from paths and contents.
 *
 * @example files({ "/etc/app.json": "{}", "/usr/bin/run": { content: script, mode: 0o755 } })
 */
export function files(contents: Readonly<Record<string, FileContent>>): FileConfig[] {
  return Object.entries(contents).map(([guestPath, file]) => {
    const plain = typeof file === "string" || file instanceof Uint8Array;
    const { content, mode = 0 } = plain ? { content: file } : file;
    return { guestPath, content: bytesOf(content), mode };
  });
}

/** Encodes text as UTF-8, and returns bytes as they are. */
export function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
