/** Lets a bounded number through at a time, the others in the order they came; a queue that is full turns the next away. */
export class Turnstile {
  private readonly width: number;
  private readonly maxWaiting: number;
  private inside = 0;
  private readonly waiting: Array<() => void> = [];

  constructor(width: number, maxWaiting: number) {
    this.width = width;
    this.maxWaiting = maxWaiting;
  }

  /** How many wait. */
  get depth(): number {
    return this.waiting.length;
  }

  /**
   * Waits for a turn and returns what ends it (safe to repeat). Undefined when the queue is full. Rejects with the signal's reason
   * when that aborts first.
   */
  async enter(signal: AbortSignal): Promise<(() => void) | undefined> {
    signal.throwIfAborted();
    if (this.inside < this.width) {
      this.inside++;
    } else {
      if (this.waiting.length >= this.maxWaiting) return undefined;
      await this.turn(signal);
    }
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      const next = this.waiting.shift();
      // The place is handed over rather than given back, so nobody can slip in between.
      if (next) next();
      else this.inside--;
    };
  }

  private turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.waiting.push(go);
    });
  }
}
