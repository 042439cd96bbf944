import type { AcquireStep, MachineConfig } from "@windhover/client";
import { LABELS } from "../functions.ts";

/** What a machine is looked for. */
export interface Wanted {
  readonly app: string;
  readonly function: string;
  readonly version: string;
  /** The nearest first. */
  readonly regions: readonly string[];
  /** Configuration of a machine to launch. Undefined: there are enough machines. */
  readonly config: MachineConfig | undefined;
}

/** An acquire has at most so many steps. */
const MAX_STEPS = 8;

/**
 * Lists the ways to a machine in the order of their price: start any stopped machine of the version
 * here, then in the other regions; launch one here, then in the others, then anywhere. Each covers
 * what the one before it cannot: hosts that are full, hosts that are gone, a region that is gone.
 */
export function ladder({ app, regions, config, ...wanted }: Wanted): readonly AcquireStep[] {
  const metadata = { [LABELS.function]: wanted.function, [LABELS.version]: wanted.version };
  const near = regions.slice(0, (MAX_STEPS - 2) / 2);
  const starts = near.map((region): AcquireStep => ({ startAny: { app, region, metadata } }));
  const far: AcquireStep[] = regions.length > near.length ? [{ startAny: { app, metadata } }] : [];
  if (config === undefined) return [...starts, ...far];
  // A launched machine is one more than was asked for: it goes when it has been idle.
  const extra = { ...config, autoDestroy: true };
  const launches = [...near, "any"].map(
    (region): AcquireStep => ({ launch: { app, region, config: extra } }),
  );
  return [...starts, ...far, ...launches];
}
