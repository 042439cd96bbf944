import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { MachineConfig as WireConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import type { Violation } from "../../../../lib/faults/fault.ts";
import { Violations } from "../../../../lib/faults/violations.ts";
import { checkReference } from "../../../creates/saga/images.ts";
import { configInputFromProto } from "../../../machines/config/convert-config.ts";
import { requireConfig } from "../../../machines/config/validate-config.ts";
import { isObject } from "../json.ts";
import { isHostile } from "../read.ts";
import { configSchema } from "./config-schema.ts";
import { convertConfig } from "./convert-config.ts";

type Path = readonly PropertyKey[];

/** Members whose values are checked together: when one of them is left out, the others say nothing. */
const TOGETHER: ReadonlyMap<string, number> = new Map([
  ["guest", 1],
  ["services", 2],
  ["checks", 2],
]);

/**
 * Returns what else is wrong with a configuration that cannot be taken: values that are of the right
 * type, so that its sender need not mend one field to hear of the next.
 *
 * @param named what is known to be wrong
 */
export function otherProblems(json: unknown, named: readonly Violation[]): readonly Violation[] {
  if (isHostile(json)) return [];
  const wrong = wrongPaths(json);
  const config = configOf(without(json, wrong));
  if (config === undefined) return [];
  const violations = new Violations();
  const size = WireConfig.encode(config).finish().length;
  requireConfig(configInputFromProto(config), size, checkReference, violations);
  const known = [...named.map(({ field }) => segmentsOf(field)), ...wrong.flatMap(withGroup)];
  return violations.all.filter(({ field }) => !known.some((path) => begins(segmentsOf(field), path)));
}

/** Returns the paths of members of a wrong type. Entries of lists keep their places: a wrong one takes its list along. */
function wrongPaths(json: unknown): readonly Path[] {
  const { error } = configSchema.safeParse(json);
  const paths = (error?.issues ?? []).map(({ path }) => {
    const end = path.findLastIndex((each) => typeof each === "number");
    return end === path.length - 1 && end >= 0 ? path.slice(0, end) : path;
  });
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()];
}

/** Converts what is left of a configuration; undefined when it cannot be converted. */
function configOf(json: unknown): MachineConfig | undefined {
  const { data, success } = configSchema.safeParse(json);
  // Its violations were reported before: only the result is used.
  return success ? convertConfig(data ?? {}, "config", new Violations()) : undefined;
}

/** Returns a copy without the members of these paths. */
function without(json: unknown, paths: readonly Path[]): unknown {
  if (paths.length === 0) return json;
  if (paths.some((path) => path.length === 0)) return {};
  const copy: unknown = structuredClone(json);
  for (const path of paths) {
    const parent = path
      .slice(0, -1)
      .reduce<unknown>((value, key) => (Object(value) === value ? Object(value)[key] : undefined), copy);
    const [last = ""] = path.slice(-1);
    if (isObject(parent)) Reflect.deleteProperty(parent, last);
  }
  return copy;
}

/** Returns a path as fields are named, and that of the group whose values are checked together. */
function withGroup(path: Path): readonly string[][] {
  const segments = ["config", ...path.map(String)];
  const length = TOGETHER.get(String(path[0]));
  return length === undefined ? [segments] : [segments, segments.slice(0, 1 + length)];
}

/** Splits the name of a field in either way to write it: `config.metadata.a`, `config.metadata[a]`. */
function segmentsOf(field: string): string[] {
  return field.match(/[^.[\]"]+/g) ?? [];
}

function begins(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.length <= path.length && prefix.every((each, i) => each === path[i]);
}
