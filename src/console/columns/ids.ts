const TRACE_BYTES = 16;
const BYTES = TRACE_BYTES + 8;

/** Ids of traces and spans as bytes: as texts they would take more than all other columns. */
export class Ids {
  readonly #bytes: Buffer;

  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity * BYTES);
  }

  put(index: number, traceId: string, spanId: string): void {
    this.#bytes.fill(0, index * BYTES, (index + 1) * BYTES);
    this.#bytes.write(traceId, index * BYTES, TRACE_BYTES, "hex");
    this.#bytes.write(spanId, index * BYTES + TRACE_BYTES, BYTES - TRACE_BYTES, "hex");
  }

  traceId(index: number): string {
    return this.#bytes.toString("hex", index * BYTES, index * BYTES + TRACE_BYTES);
  }

  spanId(index: number): string {
    return this.#bytes.toString("hex", index * BYTES + TRACE_BYTES, (index + 1) * BYTES);
  }

  /** Returns the indices below `length` with a trace's id. */
  withTrace(traceId: string, length: number): number[] {
    const wanted = Buffer.from(traceId, "hex");
    const found: number[] = [];
    const end = length * BYTES;
    let at = this.#bytes.indexOf(wanted);
    while (at >= 0 && at < end) {
      if (at % BYTES === 0) found.push(at / BYTES);
      at = this.#bytes.indexOf(wanted, at + 1);
    }
    return found;
  }

  copy(to: number, source: Ids, from: number): void {
    source.#bytes.copy(this.#bytes, to * BYTES, from * BYTES, (from + 1) * BYTES);
  }

  grown(capacity: number): Ids {
    const larger = new Ids(capacity);
    this.#bytes.copy(larger.#bytes);
    return larger;
  }
}
