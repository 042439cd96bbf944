/** Kinds of calls of organisations, each with a rate of its own. */
export const ACTIONS = ["create", "start", "stop", "read", "follow", "exec", "admin"] as const;
export type Action = (typeof ACTIONS)[number];

/** How often something may be done: `burst` times at once, and `perSecond` in the long run. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export type Rates = Readonly<Record<Action, Rate>>;

/** Limits of one organisation. Absent ones are as configured for all. */
export interface Limits {
  readonly rates: Readonly<Partial<Record<Action, Rate>>>;
  readonly createsInProgress?: number;
}

/** Far above the rates of people and job schedulers, and below those that slow other organisations down. */
export const DEFAULT_RATES: Rates = {
  create: { perSecond: 50, burst: 2_000 },
  start: { perSecond: 1_000, burst: 10_000 },
  stop: { perSecond: 1_000, burst: 10_000 },
  read: { perSecond: 1_000, burst: 10_000 },
  follow: { perSecond: 200, burst: 5_000 },
  exec: { perSecond: 100, burst: 2_000 },
  admin: { perSecond: 50, burst: 1_000 },
};

/** The most of either part of a rate. */
const MAX_RATE = 1_000_000;
const RATE = /^([a-z]+)=(\d{1,7}(?:\.\d{1,3})?):(\d{1,7})$/;

export function isAction(text: string): text is Action {
  return ACTIONS.some((action) => action === text);
}

/** Returns what is wrong with a rate; undefined when it is valid. */
export function checkRate({ perSecond, burst }: Rate): string | undefined {
  const isRate = perSecond > 0 && perSecond <= MAX_RATE;
  const isBurst = Number.isInteger(burst) && burst >= 1 && burst <= MAX_RATE;
  return isRate && isBurst
    ? undefined
    : `must be more than 0 a second and a burst of at least 1, at most ${MAX_RATE}`;
}

export function showRate(action: Action, { perSecond, burst }: Rate): string {
  return `${action}=${perSecond}:${burst}`;
}

/** Parses `create=50:2000`: 50 a second, 2,000 at once. Throws with a sentence. */
export function parseRate(text: string): readonly [Action, Rate] {
  const [, action = "", perSecond, burst] = RATE.exec(text) ?? [];
  const rate = { perSecond: Number(perSecond), burst: Number(burst) };
  if (!isAction(action) || checkRate(rate) !== undefined) {
    const example = "create=50:2000 (50 a second, 2,000 at once)";
    throw new Error(`must be of ${ACTIONS.join(", ")} with a rate, e.g. ${example}, not "${text}"`);
  }
  return [action, rate];
}
