import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { OutputBatch } from "../vmm/output.ts";
import { LogCursor, readCursor } from "../vmm/qemu/guest-channel/log-cursor.ts";
import { decodeOutput } from "../vmm/qemu/guest-channel/output.ts";
import type { LogLine } from "../vmm/vmm.ts";
import type { LogLimits, LogOwner, StoreReceipt } from "./log-calls.ts";
import { MachineLog } from "./machine-log.ts";

const DROPPED = "earlier lines were dropped: the logs of the organisation on this host are full";

interface OrgLogs {
  bytes: number;
  readonly logs: Set<MachineLog>;
}

/** The output of one VM, which becomes lines of its machine's log. */
interface Session {
  readonly owner: LogOwner;
  readonly cursor: LogCursor;
  known: number;
}

/** The logs of all machines of a host, with a bound for each machine and each organisation. */
export class MachineLogs {
  /** Called when a machine has new lines, or none ever again. */
  onChange: (id: string) => void = () => {};
  readonly #dir: string;
  readonly #limits: LogLimits;
  readonly #logs = new Map<string, MachineLog>();
  readonly #orgs = new Map<string, OrgLogs>();
  readonly #orgOf = new Map<string, string>();
  readonly #sessions = new Map<number, Session>();

  /** @param owners machines that may have logs from before */
  constructor(dir: string, limits: LogLimits, owners: readonly LogOwner[]) {
    this.#dir = dir;
    this.#limits = limits;
    for (const owner of owners) this.#log(owner);
  }

  /** Returns the log of a machine that has written on this host. */
  get(id: string): MachineLog | undefined {
    const isOnDisk = () => existsSync(join(this.#dir, id));
    return this.#logs.get(id) ?? (isOnDisk() ? this.#log({ id, org: "" }) : undefined);
  }

  /** Appends lines. @throws when they cannot be written, and are lost */
  append(owner: LogOwner, lines: readonly LogLine[]): void {
    if (lines.length === 0) return;
    const log = this.#log(owner);
    const org = this.#orgOf.get(owner.id) ?? "";
    try {
      this.#account(org, log, () => log.append(lines));
    } finally {
      this.#limit(org);
      this.onChange(owner.id);
    }
  }

  /** Begins to store the output of a VM, behind what an earlier hostd has stored. */
  open(session: number, owner: LogOwner, cursorFile: string): void {
    const { number, sequence } = readCursor(cursorFile);
    const { end } = this.#log(owner);
    // Written before every batch: the log has more when hostd died between that and the next batch.
    const hasMore = sequence !== undefined && end.sequence > sequence;
    const known = hasMore ? Math.max(number, end.number ?? 0) : number;
    this.#sessions.set(session, { owner, cursor: new LogCursor(cursorFile), known });
  }

  store(session: number, batch: OutputBatch): StoreReceipt {
    const found = this.#sessions.get(session);
    if (found === undefined) return { lastNumber: batch.afterNumber, lines: 0, guestUs: 0 };
    const { owner, cursor } = found;
    found.known = Math.max(found.known, batch.afterNumber);
    const { lines, nowUs } = decodeOutput({ ...batch, afterNumber: found.known });
    const before = found.known;
    found.known = lines.at(-1)?.number ?? before;
    const receipt = { lastNumber: found.known, lines: lines.length, guestUs: nowUs };
    try {
      if (lines.length > 0) cursor.write({ number: before, sequence: this.#log(owner).end.sequence });
      this.append(owner, lines);
      return receipt;
    } catch (err) {
      return { ...receipt, failure: err instanceof Error ? err.message : String(err) };
    }
  }

  close(session: number): void {
    const found = this.#sessions.get(session);
    if (found === undefined) return;
    this.#sessions.delete(session);
    found.cursor.write({ number: found.known, sequence: this.#log(found.owner).end.sequence });
    found.cursor.close();
  }

  remove(id: string): void {
    for (const [session, { owner }] of this.#sessions) if (owner.id === id) this.close(session);
    const org = this.#orgOf.get(id) ?? "";
    const log = this.#log({ id, org });
    const all = this.#orgs.get(org);
    log.remove();
    if (all) {
      all.bytes -= log.bytes;
      all.logs.delete(log);
      if (all.logs.size === 0) this.#orgs.delete(org);
    }
    this.#logs.delete(id);
    this.#orgOf.delete(id);
    this.onChange(id);
  }

  owners(): readonly string[] {
    try {
      return readdirSync(this.#dir);
    } catch (err) {
      if (err instanceof Error && "code" in err && err.code === "ENOENT") return [];
      throw err;
    }
  }

  #log({ id, org }: LogOwner): MachineLog {
    const known = this.#logs.get(id);
    if (known) return known;
    const log = new MachineLog(join(this.#dir, id), this.#limits.machineKb * 1_024);
    this.#logs.set(id, log);
    this.#orgOf.set(id, org);
    const all = this.#orgs.get(org) ?? { bytes: 0, logs: new Set() };
    this.#orgs.set(org, all);
    all.logs.add(log);
    all.bytes += log.bytes;
    return log;
  }

  #account(org: string, log: MachineLog, change: () => void): void {
    const before = log.bytes;
    try {
      change();
    } finally {
      const all = this.#orgs.get(org);
      if (all) all.bytes += log.bytes - before;
    }
  }

  /** Drops old lines of the largest logs of an organisation until all are within the bound. */
  #limit(org: string): void {
    const all = this.#orgs.get(org);
    const maxBytes = this.#limits.orgKb * 1_024;
    while (all && all.bytes > maxBytes) {
      let largest: MachineLog | undefined;
      for (const log of all.logs) if (log.bytes > (largest?.bytes ?? 0)) largest = log;
      const before = all.bytes;
      const note = { timeUs: Date.now() * 1_000, stream: "system", text: DROPPED } as const;
      if (largest) this.#account(org, largest, () => largest.shrink(note));
      if (all.bytes >= before) return;
    }
  }
}
