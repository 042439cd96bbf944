import type { ThreadReply } from "../../lib/threads/thread-client.ts";
import type { OutputBatch, OutputReceipt } from "../vmm/output.ts";
import type { LogLine } from "../vmm/vmm.ts";
import type { StoredLine } from "./line-format.ts";

/** The machine of a log. */
export interface LogOwner {
  readonly id: string;
  readonly org: string;
}

/** What logs may take on disk. */
export interface LogLimits {
  readonly machineKb: number;
  /** All machines of an organisation together. */
  readonly orgKb: number;
}

export interface LogWorkerData {
  readonly dir: string;
  readonly limits: LogLimits;
  readonly owners: readonly LogOwner[];
}

/** An `OutputReceipt`, and what went wrong: lines that cannot be written are lost. */
export type StoreReceipt = OutputReceipt & { readonly failure?: string };

export type LogRequest =
  | { readonly kind: "append"; readonly owner: LogOwner; readonly line: LogLine }
  | {
      readonly kind: "open";
      readonly session: number;
      readonly owner: LogOwner;
      readonly cursorFile: string;
    }
  | { readonly kind: "store"; readonly session: number; readonly batch: OutputBatch }
  | { readonly kind: "close"; readonly session: number }
  | { readonly kind: "position"; readonly id: string; readonly tail: number | undefined }
  /** `waits`: until there are some, the log is removed, or the call is cancelled. */
  | { readonly kind: "after"; readonly id: string; readonly sequence: number; readonly waits: boolean }
  | { readonly kind: "cancel"; readonly call: number }
  | { readonly kind: "remove"; readonly id: string }
  | { readonly kind: "owners" }
  | { readonly kind: "flush" };

/** What the thread answers to each kind of request. */
export interface LogAnswers {
  readonly append: undefined;
  readonly open: undefined;
  readonly store: StoreReceipt;
  readonly close: undefined;
  /** The sequence before the last `tail` lines (0 without), and that of the last line. */
  readonly position: { readonly before: number; readonly last: number };
  /** Undefined when the log was removed. */
  readonly after: readonly StoredLine[] | undefined;
  readonly cancel: undefined;
  readonly remove: undefined;
  readonly owners: readonly string[];
  readonly flush: undefined;
}

export type LogReply = ThreadReply<LogAnswers[keyof LogAnswers], string>;
