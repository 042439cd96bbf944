import { constants } from "node:os";

/** Other names that Docker knows. */
const SYNONYMS = { SIGCLD: constants.signals.SIGCHLD } as const;
const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries({ ...constants.signals, ...SYNONYMS }));

/** Names by number. Of two names for one number the first one listed is the usual one. */
const NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/** Real-time signals as glibc, systemd and Docker number them. The two before are glibc's own. */
const RTMIN = 34;
const RTMAX = 64;

/**
 * Returns the number of a signal by its name, with or without `SIG`, in any case, or by its number;
 * undefined when Linux has none such. Real-time signals are `RTMIN+n` or `RTMAX-n`.
 */
export function signalNumber(name: string): number | undefined {
  if (/^\d{1,3}$/.test(name)) {
    const number = Number(name);
    return number >= 1 && number <= RTMAX ? number : undefined;
  }
  const upper = name.toUpperCase();
  const full = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const realTime = /^SIGRT(?:(MIN)(?:\+(\d{1,2}))?|MAX(?:-(\d{1,2}))?)$/.exec(full);
  if (!realTime) return NUMBERS.get(full);
  const number = realTime[1] ? RTMIN + Number(realTime[2] ?? 0) : RTMAX - Number(realTime[3] ?? 0);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/** Returns the name of a signal; `SIG<number>` for the two that have none. */
export function signalName(number: number): string {
  if (number === RTMIN) return "SIGRTMIN";
  if (number > RTMIN && number <= RTMAX) return number === RTMAX ? "SIGRTMAX" : `SIGRTMIN+${number - RTMIN}`;
  return NAMES.get(number) ?? `SIG${number}`;
}
