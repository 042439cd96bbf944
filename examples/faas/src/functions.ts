import type { Machine, MachineState } from "@windhover/client";

/** Labels of the machines of a function. They are metadata, which a list returns. */
export const LABELS = { function: "function", version: "version", live: "live" } as const;

/** What is needed of a machine to know which function it runs. */
export type FunctionMachine = Pick<Machine, "id" | "state" | "region" | "config">;

/** A deployed function. */
export interface DeployedFunction {
  readonly name: string;
  /** Sorts by the time of the deployment. */
  readonly version: string;
  /** Machines of this version. */
  readonly machines: readonly FunctionMachine[];
}

/** States from which a machine can be destroyed without cutting off a run. */
const RESTING: ReadonlySet<MachineState> = new Set(["created", "stopped", "failed"]);

/** Returns the label of a machine, empty when it has none. */
export function label(machine: FunctionMachine, name: keyof typeof LABELS): string {
  return machine.config?.metadata[LABELS[name]] ?? "";
}

/**
 * Finds the current version of each function: the newest one that is live. A version becomes live
 * when all of its machines are there.
 */
export function currentFunctions(machines: readonly FunctionMachine[]): Map<string, DeployedFunction> {
  const versions = new Map<string, string>();
  for (const machine of machines) {
    const [name, version] = [label(machine, "function"), label(machine, "version")];
    const isNewer = version > (versions.get(name) ?? "");
    if (name !== "" && isNewer && label(machine, "live") !== "") versions.set(name, version);
  }
  const found = [...versions].map(([name, version]): [string, DeployedFunction] => {
    const own = machines.filter(
      (each) => label(each, "function") === name && label(each, "version") === version,
    );
    return [name, { name, version, machines: own }];
  });
  return new Map(found);
}

/**
 * Finds machines of old versions that may be destroyed. One that still runs exits when it has been
 * idle, and is found then. Machines of a version that is being deployed are newer than the current.
 */
export function garbage(
  machines: readonly FunctionMachine[],
  current: ReadonlyMap<string, DeployedFunction>,
): readonly FunctionMachine[] {
  return machines.filter((machine) => {
    const version = current.get(label(machine, "function"))?.version ?? "";
    return label(machine, "version") < version && RESTING.has(machine.state);
  });
}

/** Names a version by its time and the digest of its image. */
export function versionOf(time: Date, digest: string): string {
  return `${time.toISOString().replace(/[-:.]/g, "").toLowerCase()}-${digest.slice("sha256:".length, 15)}`;
}
