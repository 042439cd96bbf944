import type { z } from "zod";
import { invalid } from "../../../lib/faults/fault.ts";
import { Violations } from "../../../lib/faults/violations.ts";
import { checkMachineName } from "../../requests/names.ts";
import { configSchema } from "../convert/config/config-schema.ts";
import { configFromJson } from "../convert/config/convert-config.ts";
import { deadEnds, ignoredMembers, ignoredOf, warningOf } from "../convert/config/convert-ignored.ts";
import { otherProblems } from "../convert/config/convert-problems.ts";
import { flag, integer, needed, seconds, text } from "../convert/fields.ts";
import { isObject, type JsonObject } from "../convert/json.ts";

/** Members of the body of a create and of an update. */
export const launchFields = {
  config: needed(configSchema),
  name: text("Unique in the app. Default: made by the server."),
  region: text("A region, several with commas, or a group such as `eu` or `any`."),
  skip_launch: flag(),
  skip_service_registration: flag().describe(
    "Creates the machine cordoned: it gets no requests until `uncordon`.",
  ),
  lease_ttl: seconds(3_600),
  min_secrets_version: integer(),
};

/** A member that is checked and not acted on. */
const NOT_ACTED_ON = "min_secrets_version";
/** Of no meaning where there are no secrets. */
const NEEDLESS = ["skip_secrets"];

/**
 * Reads the body of a create or an update.
 *
 * @param schema of the body
 * @param inert members of it that this request does not act on
 * @returns `warnings`: what is kept and not acted on, or cannot work, as a member of the answer
 * @throws Fault INVALID_FIELDS with every wrong field
 */
export function readLaunch<S extends z.ZodObject>(
  request: {
    readonly arrived: { readonly body: JsonObject };
    read(): { readonly body: z.output<S> };
  },
  { shape }: S,
  inert: readonly string[] = [],
) {
  const { body: arrived } = request.arrived;
  const violations = new Violations();
  const body = violations.collect(() => request.read().body);
  // Otherwise violations of the configuration would be there twice.
  const isRead = !violations.all.some(({ field }) => /^config\b/.test(field));
  const given = arrived["config"] ?? {};
  const config = isRead ? violations.collect(() => configFromJson(given)) : undefined;
  // When nothing is wrong by its form, the api checks the values.
  if (violations.any) addValues(violations, arrived["name"], given);
  violations.throwIfAny();
  if (body === undefined || config === undefined) throw invalid([]);
  const known = new Set([...Object.keys(shape), ...NEEDLESS]);
  for (const name of [NOT_ACTED_ON, ...inert]) known.delete(name);
  const ignored = [...ignoredOf(arrived, known), ...ignoredMembers(config)];
  const warnings = [...ignored.map(warningOf), ...deadEnds(config)];
  return { config, body, warnings: warnings.length > 0 ? { warnings } : {} };
}

/** Adds the values that are wrong, as the api would when nothing were wrong by its form. */
function addValues(violations: Violations, name: unknown, config: unknown): void {
  const others = isObject(config) ? otherProblems(config, violations.all) : [];
  for (const { field, description } of others) violations.add(field, description);
  if (typeof name === "string" && name !== "") violations.add("name", checkMachineName(name));
}
