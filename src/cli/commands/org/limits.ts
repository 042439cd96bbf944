import { InvalidArgumentError } from "commander";
import type { Limits, Organization, RateLimit } from "../../../gen/windhover/admin/v1/organizations.ts";
import type { HoverCommand } from "../command.ts";
import { whole } from "../values.ts";

export interface LimitFlags {
  /** By action; undefined takes the organisation's own rate away. */
  readonly rate?: ReadonlyMap<string, RateLimit | undefined>;
  /** 0: as all organisations. */
  readonly creates?: number;
}

const ACTIONS = "create, start, stop, read, follow, exec or admin";

export function limitFlags(command: HoverCommand): HoverCommand {
  return command
    .option(
      "--rate <action=n:burst>",
      `calls a second and at once of ${ACTIONS}; action=default takes it back`,
      rate,
    )
    .option("--creates <n>", "creates under way at a time; default takes it back", creates);
}

/** Collects `create=10:100` of `--rate`. */
export function rate(
  raw: string,
  before: ReadonlyMap<string, RateLimit | undefined> = new Map(),
): ReadonlyMap<string, RateLimit | undefined> {
  const [, action = "", value = "", perSecond, burst] =
    /^([a-z]+)=(default|(\d+(?:\.\d+)?):(\d+))$/.exec(raw) ?? [];
  if (action === "")
    throw new InvalidArgumentError(
      `Write a rate such as create=10:100 (10 a second, 100 at once), not "${raw}".`,
    );
  const limit =
    value === "default" ? undefined : { action, perSecond: Number(perSecond), burst: Number(burst) };
  return new Map([...before, [action, limit]]);
}

function creates(raw: string): number {
  return raw === "default" ? 0 : whole(1, 100_000)(raw);
}

/** Merges the flags with the limits that there are. Undefined: nothing was given. */
export function limitsOf(
  { rate, creates }: LimitFlags,
  before: Limits = { rates: [], createsInProgress: 0 },
): Limits | undefined {
  if (rate === undefined && creates === undefined) return undefined;
  const rates = new Map<string, RateLimit | undefined>(before.rates.map((each) => [each.action, each]));
  for (const [action, limit] of rate ?? []) rates.set(action, limit);
  return {
    rates: [...rates.values()].filter((limit) => limit !== undefined),
    createsInProgress: creates ?? before.createsInProgress,
  };
}

/** Lists the limits of an organisation that differ from the defaults. */
export function limitLines({ limits }: Organization): readonly string[] {
  if (!limits) return [];
  const { rates, createsInProgress } = limits;
  return [
    "",
    "Its own limits, in each api:",
    ...rates.map(({ action, perSecond, burst }) => `  ${action}: ${perSecond} a second, ${burst} at once`),
    ...(createsInProgress === 0 ? [] : [`  creates under way: ${createsInProgress}`]),
  ];
}
