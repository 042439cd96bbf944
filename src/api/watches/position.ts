import { Fault } from "../../lib/faults/fault.ts";

/**
 * How far a reader of the log of changes has come: it has had every change of earlier transactions,
 * and of the transaction `xid` those up to `place`.
 */
export interface Position {
  /** Postgres' 64-bit number of a transaction. */
  readonly xid: bigint;
  /** 0: none of the transaction's changes. */
  readonly place: bigint;
}

const FORM = /^([0-9a-z]{1,13})-([0-9a-z]{1,13})$/;
/** What Postgres takes as a number. */
const MAX = 2n ** 63n;

/** Returns a negative number when `a` comes before `b`, 0 when they are equal. */
export function comparePositions(a: Position, b: Position): number {
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1;
  if (a.place === b.place) return 0;
  return a.place < b.place ? -1 : 1;
}

/** Returns the position of the later transaction; `a` when it is the same. */
export function laterPosition(a: Position, b: Position): Position {
  return b.xid > a.xid ? b : a;
}

/** Returns a position as clients keep it. */
export function positionToText({ xid, place }: Position): string {
  return `${xid.toString(36)}-${place.toString(36)}`;
}

/** Parses a position; undefined for any other text. */
export function parsePosition(text: string): Position | undefined {
  const [, xid, place] = FORM.exec(text) ?? [];
  if (xid === undefined || place === undefined) return undefined;
  const position = { xid: fromBase36(xid), place: fromBase36(place) };
  return position.xid < MAX && position.place < MAX ? position : undefined;
}

function fromBase36(digits: string): bigint {
  let value = 0n;
  for (const digit of digits) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value;
}

export function positionTooOld(): Fault {
  const message = "the changes since this position are not kept any more; begin anew, without after_position";
  return new Fault("FAILED_PRECONDITION", "POSITION_TOO_OLD", message);
}
