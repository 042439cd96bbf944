import { layerFault, shownPath } from "../tar/layer-fault.ts";

/** As in Linux. */
export const MAX_NAME = 255;

/**
 * Splits the path of an entry, without leading slashes and `.`. Refuses `..` anywhere: no builder writes
 * it, and its meaning depends on symlinks.
 *
 * @throws Fault `LAYER_PATH_ESCAPES` or `LAYER_CORRUPT`
 */
export function splitPath(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") {
      const problem = `its entry ${shownPath(path)} points outside the root; it was not made by an honest builder`;
      throw layerFault("LAYER_PATH_ESCAPES", problem, { path: shownPath(path) });
    }
    if (part.length > MAX_NAME) {
      throw layerFault(
        "LAYER_CORRUPT",
        `its entry ${shownPath(path)} has a name longer than ${MAX_NAME} bytes`,
      );
    }
  }
  return parts;
}

export type Mark =
  | { readonly kind: "none" }
  /** Hides `name` of lower layers. */
  | { readonly kind: "whiteout"; readonly name: string }
  /** Hides everything of lower layers in this directory. */
  | { readonly kind: "opaque" }
  /** Of AUFS, without meaning here. */
  | { readonly kind: "bookkeeping" };

const PREFIX = ".wh.";
const OPAQUE = ".wh..wh..opq";
const AUFS = ".wh..wh.";

/** Parses the marks of the OCI image specification. @throws Fault `LAYER_CORRUPT` */
export function readMark(parts: readonly string[], isFile: boolean, path: string): Mark {
  const last = parts.at(-1) ?? "";
  if (!parts.some((part) => part.startsWith(PREFIX))) return { kind: "none" };
  if (last === OPAQUE && isFile) return { kind: "opaque" };
  if (parts.some((part) => part.startsWith(AUFS))) return { kind: "bookkeeping" };
  const name = last.slice(PREFIX.length);
  const usable = isFile && last.startsWith(PREFIX) && name !== "" && name !== "." && name !== "..";
  const above = parts.slice(0, -1).some((part) => part.startsWith(PREFIX));
  if (usable && !above) return { kind: "whiteout", name };
  throw layerFault(
    "LAYER_CORRUPT",
    `its entry ${shownPath(path)} has a name that is reserved for whiteouts and is not a valid one`,
    { path: shownPath(path) },
  );
}
