/** Tells the time. Passed as an argument everywhere, so that tests and the simulator can set it. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. May jump: for display and storage. */
  now(): number;
  /** Milliseconds on a clock that never goes back: for measurements and deadlines. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};
