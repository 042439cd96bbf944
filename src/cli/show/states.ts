/** Names of machine states on the wire, by number. Plain data, so that showing help does not load the generated code. */
const STATES = [
  "unspecified",
  "creating",
  "created",
  "starting",
  "started",
  "stopping",
  "stopped",
  "failed",
  "destroying",
  "destroyed",
  "suspending",
  "suspended",
  "restarting",
  "updating",
  "replacing",
  "replaced",
  "launch_failed",
  "migrated",
] as const;

/** A state's name. One that is newer than this program is called `unknown_<number>`. */
export function stateName(state: number): string {
  return STATES[state] ?? `unknown_${state}`;
}

/** A state's number; undefined for a name that does not exist. */
export function stateNumber(name: string): number | undefined {
  const index = (STATES as readonly string[]).indexOf(name.toLowerCase().replaceAll("-", "_"));
  return index > 0 ? index : undefined;
}

/** The names that `--state` takes. */
export const STATE_NAMES: readonly string[] = STATES.slice(1, 10);
