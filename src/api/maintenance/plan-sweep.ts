import type { Machine, MachineState } from "../machines/machine.ts";

/** What the record knows of a machine, as far as the sweeper needs it. */
export interface KnownMachine {
  readonly id: string;
  readonly state: MachineState;
  /** Decimal. */
  readonly generation: string;
  /** False while its create is under way: then the create looks after it. */
  readonly isRecorded: boolean;
}

/** Differences beyond this number are believed only while they are fewer than half of what there is. */
const BELIEVED = 5;

/** What is wrong between a host and the record. */
export interface SweepPlan {
  /** On the host, and unknown to the record or destroyed in it: to be destroyed. */
  readonly orphans: readonly Machine[];
  /** Recorded, and the host does not have them. */
  readonly missing: readonly KnownMachine[];
  /** Newer on the host than in the record. */
  readonly ahead: readonly Machine[];
  /**
   * So much differs that rather the record or the host has lost its memory (a restored backup, a lost disk): nothing may be destroyed or
   * written off until somebody has looked.
   */
  readonly isDoubtful: boolean;
}

/**
 * Compares a host with the record.
 *
 * @param onHost what the host listed
 * @param known what the record knew before it was asked, for what is missing, and after, for what is not known. One list is fine when both are the same.
 * @param graceMs a machine younger than this is nobody's orphan yet
 */
export function planSweep(
  onHost: readonly Machine[],
  known: { readonly before: readonly KnownMachine[]; readonly after: readonly KnownMachine[] },
  nowMs: number,
  graceMs: number,
): SweepPlan {
  const after = new Map(known.after.map((machine) => [machine.id, machine]));
  const listed = new Set(onHost.map((machine) => machine.id));
  const orphans = onHost.filter((machine) => {
    const isWanted = after.has(machine.id) && after.get(machine.id)?.state !== "destroyed";
    return !isWanted && !isGone(machine.state) && machine.createTimeMs < nowMs - graceMs;
  });
  const missing = known.before.filter((before) => {
    const now = after.get(before.id);
    return now?.isRecorded === true && before.isRecorded && !isGone(now.state) && !listed.has(before.id);
  });
  const ahead = onHost.filter((machine) => {
    const record = after.get(machine.id);
    return (
      record !== undefined &&
      record.state !== "destroyed" &&
      BigInt(machine.generation) > BigInt(record.generation)
    );
  });
  const isDoubtful = tooMany(orphans.length, onHost.length) || tooMany(missing.length, known.before.length);
  return { orphans, missing, ahead, isDoubtful };
}

function tooMany(different: number, all: number): boolean {
  return different > BELIEVED && different * 2 > all;
}

function isGone(state: MachineState): boolean {
  return state === "destroyed" || state === "destroying";
}
