import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { context, propagation, trace } from "@opentelemetry/api";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withRemoteParent } from "../../../src/lib/otel/tracing.ts";
import {
  ARMED,
  type ArmedPoint,
  type KillPoint,
  killPointsFolder,
  PASSED,
  type PassedPoint,
} from "./kill-points-files.ts";

export type { KillPoint } from "./kill-points-files.ts";

/** What services load to be killed at chosen moments. */
export const KILL_POINTS = join(import.meta.dirname, "kill-points.preload.ts");

/** Lets calls carry the trace by which services know what to watch. Returns what ends it. */
export function carryTraces(): () => void {
  startTelemetry({}, []);
  return () => {
    for (const each of [trace, context, propagation]) each.disable();
  };
}

/** Finds the moments at which services of a fleet can be killed within a call, and kills them there. One call at a time, within {@link carryTraces}. */
export class KillPoints {
  readonly #folder: string;

  /** @param fleetFolder of a fleet whose services have loaded {@link KILL_POINTS} */
  constructor(fleetFolder: string) {
    this.#folder = killPointsFolder(fleetFolder);
    mkdirSync(this.#folder, { recursive: true });
  }

  /** Whether nobody has come to the armed moment yet. */
  get isArmed(): boolean {
    return existsSync(join(this.#folder, ARMED));
  }

  /**
   * Makes a call and returns every moment that services went through for it, each once. Of those between which a process neither heard nor did
   * anything only the last is among them: who looks from outside cannot tell them apart.
   *
   * @param rest resolves when nothing of it is under way any more
   */
  async enumerate(work: () => Promise<unknown>, rest: () => Promise<void>): Promise<readonly KillPoint[]> {
    const passed = join(this.#folder, PASSED);
    rmSync(passed, { force: true });
    await this.#traced(undefined, work);
    await rest();
    this.disarm();
    const lines = existsSync(passed) ? readFileSync(passed, "utf8").split("\n") : [];
    // Written by the services.
    const all = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as PassedPoint);
    const distinct = [...Map.groupBy(all, ({ pid }) => pid).values()].flatMap((ofOne) =>
      ofOne.filter(({ isEffect, turn }, index) => isEffect || ofOne[index + 1]?.turn !== turn),
    );
    // Hosts come to the same moments.
    return [
      ...new Map(
        distinct.map(({ service, span, edge, nth }) => [
          `${service} ${span} ${edge} ${nth}`,
          { service, span, edge, nth },
        ]),
      ).values(),
    ];
  }

  /** Makes a call with a service that will die at a moment of it. */
  run<T>(point: KillPoint, work: () => Promise<T>): Promise<T> {
    return this.#traced(point, work);
  }

  /** Nobody dies any more. */
  disarm(): void {
    rmSync(join(this.#folder, ARMED), { force: true });
  }

  #traced<T>(point: KillPoint | undefined, work: () => Promise<T>): Promise<T> {
    const traceId = randomBytes(16).toString("hex");
    const armed: ArmedPoint = { trace: traceId, ...(point ? { point } : {}) };
    const path = join(this.#folder, ARMED);
    // Nobody reads half of it.
    writeFileSync(`${path}.new`, JSON.stringify(armed));
    renameSync(`${path}.new`, path);
    return withRemoteParent(`00-${traceId}-${randomBytes(8).toString("hex")}-01`, work);
  }
}

/** How a moment is called. */
export function describePoint({ service, span, edge, nth }: KillPoint): string {
  return `${service} at the ${edge} of ${span}${nth > 1 ? ` (${nth})` : ""}`;
}
