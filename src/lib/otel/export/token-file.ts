import { readFile } from "node:fs/promises";

/** Longest time that a token is used after its file has changed. */
const REREAD_MS = 30_000;

/** Returns the headers of an export with the token of a file, which is read again every 30 s. */
export function headersFromFile(
  path: string,
  now: () => number = () => performance.now(),
): () => Promise<Record<string, string>> {
  let token: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() - readAt >= REREAD_MS) {
      // The last token is better than none.
      token = (await readFile(path, "utf8").catch(() => token))?.trim();
      readAt = now();
    }
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  };
}
