/** Output of a VM on its way to a sink that decodes it in another thread. */

/** What is known of the offset between a guest's clock and the host's. */
export interface ClockBounds {
  readonly upper?: ClockBound | undefined;
  readonly lower?: ClockBound | undefined;
}

export interface ClockBound {
  readonly offset: number;
  readonly atUs: number;
}

/** Frames of lines as the guest encoded them, and what is needed to decode them. */
export interface OutputBatch {
  /** Encoded frames, each with its final zero. The buffer is the receiver's: nobody else keeps it. */
  readonly frames: Uint8Array<ArrayBuffer>;
  /** Lines up to this number are known. */
  readonly afterNumber: number;
  /** When the last of them arrived. */
  readonly arrivedUs: number;
  /** No time of a line is before this. */
  readonly notBeforeUs: number;
  readonly clock: ClockBounds;
}

export interface OutputReceipt {
  /** Number of the last line that is known now. */
  readonly lastNumber: number;
  /** Lines that were new. */
  readonly lines: number;
  /** The guest's clock in the last frame; 0 when it could not be read. */
  readonly guestUs: number;
}

/** The output of one VM, whose lines are stored in order, each once, also over crashes of hostd. */
export interface OutputSession {
  /** Resolves when the lines are stored. Call it again only then. */
  store(batch: OutputBatch): Promise<OutputReceipt>;
  /** Resolves when nothing is written to the cursor file any more. Never rejects. */
  close(): Promise<void>;
}
