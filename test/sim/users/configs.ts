import type { MachineConfig, Restart } from "../../../src/api/machines/machine.ts";
import { environmentOf, randomProgram } from "../machines/programs.ts";
import type { Random } from "../world/random.ts";

/** What a version says besides its size: what runs, and what becomes of it when that ends. */
export function randomBehaviour(
  random: Random,
): Pick<MachineConfig, "env" | "restart" | "autoDestroy" | "schedule" | "snapshot"> {
  const policy = random.pick(["no", "on-failure", "always"] as const);
  const restart: Restart = { policy, maxRetries: random.pick([1, 2, 3, 0]) };
  return {
    env: environmentOf(randomProgram(random)),
    ...(random.chance(0.8) ? { restart } : {}),
    ...(random.chance(0.15) ? { autoDestroy: true } : {}),
    ...(random.chance(0.15) ? { schedule: "hourly" } : {}),
    ...(random.chance(0.3) ? { snapshot: "ready" } : {}),
  };
}

/** The configuration of the next version of a machine. */
export function changedConfig(before: MachineConfig, random: Random): MachineConfig {
  const {
    env: _env,
    restart: _restart,
    autoDestroy: _auto,
    schedule: _schedule,
    snapshot: _,
    ...config
  } = before;
  const guest = random.chance(0.3)
    ? { ...config.guest, cpus: random.whole(1, 2), memoryMb: 256 * random.whole(1, 4) }
    : config.guest;
  const image = random.chance(0.3) ? random.pick(["nginx", "caddy-2"]) : config.image;
  return { ...config, image, guest, ...randomBehaviour(random) };
}
