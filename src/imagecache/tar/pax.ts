import { layerFault } from "./layer-fault.ts";

export interface PaxRecords {
  /** Values as Latin-1 strings. An empty value removes an earlier one, by POSIX. */
  readonly values: ReadonlyMap<string, string>;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Sparse map of the form 0.0: offset, length, offset, ... */
  readonly stretches: readonly string[];
}

export const NO_RECORDS: PaxRecords = { values: new Map(), xattrs: new Map(), stretches: [] };

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

/**
 * Parses the records of an extended header (`length key=value\n`) on top of `base`. Extended attributes
 * stay bytes, since file capabilities are binary.
 */
export function parsePax(body: Buffer, base: PaxRecords): PaxRecords {
  const values = new Map(base.values);
  const xattrs = new Map(base.xattrs);
  const stretches: string[] = [];
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const { key, value, next } = record(body, at);
    if (key.startsWith(SCHILY)) xattrs.set(key.slice(SCHILY.length), Buffer.from(value));
    else if (key.startsWith(LIBARCHIVE)) setLibarchive(xattrs, key.slice(LIBARCHIVE.length), value);
    else if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
      stretches.push(value.toString("latin1"));
    else if (value.length === 0) values.delete(key);
    else values.set(key, value.toString("latin1"));
    at = next;
  }
  return { values, xattrs, stretches };
}

function record(body: Buffer, at: number): { key: string; value: Buffer; next: number } {
  const space = body.indexOf(0x20, at);
  const length = Number(space < 0 || space - at > 10 ? Number.NaN : body.toString("latin1", at, space));
  const next = at + length;
  const equals = body.indexOf(0x3d, space);
  const valid = next <= body.length && equals > space && equals < next - 1 && body[next - 1] === 0x0a;
  if (!valid) throw layerFault("LAYER_CORRUPT", "an extended header has a malformed record");
  return {
    key: body.toString("latin1", space + 1, equals),
    value: body.subarray(equals + 1, next - 1),
    next,
  };
}

/** Sets an attribute of libarchive (name percent-encoded, value in base64) unless SCHILY's form has it. */
function setLibarchive(xattrs: Map<string, Buffer>, encoded: string, value: Buffer): void {
  const name = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  if (!xattrs.has(name)) xattrs.set(name, Buffer.from(value.toString("latin1"), "base64"));
}
