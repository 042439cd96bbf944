import { layerFault, shownPath } from "../tar/layer-fault.ts";

/** As Linux limits the name of a file. */
const MAX_NAME = 255;

/**
 * Takes the path of an entry apart. Leading slashes and `.` mean nothing: everything is below the root. `..` is
 * refused wherever it stands: no builder writes it, and what it means depends on what is a symlink at the time.
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

/** What the last part of a path means: a plain name, or one of the marks a layer hides lower ones with. */
export type Mark =
  | { readonly kind: "none" }
  /** Hides `name` of lower layers. */
  | { readonly kind: "whiteout"; readonly name: string }
  /** Hides everything lower layers have in this directory. */
  | { readonly kind: "opaque" }
  /** Left over from AUFS; means nothing here. */
  | { readonly kind: "bookkeeping" };

const PREFIX = ".wh.";
const OPAQUE = ".wh..wh..opq";
const AUFS = ".wh..wh.";

/** Reads the marks of the OCI image specification off a path. @throws Fault `LAYER_CORRUPT` */
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
