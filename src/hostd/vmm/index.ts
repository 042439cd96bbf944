import { join } from "node:path";
import { SELECT_DEFAULTS, type SelectOptions, selectVmm } from "./select.ts";
import { SimVmm } from "./sim/sim-vmm.ts";
import type { Vmm } from "./vmm.ts";

/** Which virtual machine monitor to use, and where it finds what it needs. */
export interface VmmSettings
  extends Pick<
    SelectOptions,
    "mode" | "guestDir" | "confinement" | "startPaths" | "warmMemoryMb" | "templateMb" | "pool"
  > {
  /** The host's data directory. */
  readonly dir: string;
  /** How the simulator behaves, for `sim`. */
  readonly sim: { readonly latencyMs: number; readonly jitterMs: number };
}

/** Makes the host's VMM. Throws when none of the mode works here, saying why. */
export function makeVmm(settings: VmmSettings): Promise<Vmm> {
  const { mode, guestDir, confinement, startPaths, warmMemoryMb, templateMb, pool } = settings;
  const dir = join(settings.dir, "vms");
  return selectVmm({
    ...SELECT_DEFAULTS,
    ...{ mode, guestDir, confinement, dir, startPaths, warmMemoryMb, templateMb, pool },
    sim: () => new SimVmm({ dir: join(settings.dir, "sim"), ...settings.sim }),
  });
}
