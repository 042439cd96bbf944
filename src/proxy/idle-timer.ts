/** Calls back once when nothing has happened for a time. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout;

  constructor(idleMs: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, idleMs);
  }

  /** Says that something has happened. */
  readonly touch = (): void => {
    this.#timer.refresh();
  };

  stop(): void {
    clearTimeout(this.#timer);
  }
}
