import {
  type Organization,
  OrganizationsServiceClient,
  Standing,
} from "../../../gen/windhover/admin/v1/organizations.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { toJson } from "../../render/json.ts";
import { standingName } from "../../render/names.ts";
import { table } from "../../render/table.ts";
import { ago, megabytes } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { pages, type Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { amountMb, whole } from "../values.ts";
import { type LimitFlags, limitFlags, limitLines, limitsOf } from "./limits.ts";

const STANDINGS: Readonly<Record<string, Standing>> = {
  good: Standing.GOOD,
  past_due: Standing.PAST_DUE,
  banned: Standing.BANNED,
};
/** The default of the contract, for the part of a quota that a create does not give. */
const DEFAULT_QUOTA = { machines: 100, memoryMb: 65_536n };

interface QuotaFlags {
  readonly machines?: number;
  readonly memory?: number;
  readonly imageMb?: number;
}

interface UpdateFlags extends QuotaFlags, LimitFlags {}

export function defineOrg(org: HoverCommand): void {
  const about = ([slug]: readonly [string, ...string[]]) => ({ org: slug });
  quotaFlags(org.leaf("create <slug>", "Creates an organisation"))
    .option("-n, --name <name>", "name for people (default: the slug)")
    .examples("hover org create acme --machines 100 --memory 64gb")
    .runs(createOrg, about);
  org.leaf("list", "Lists organisations").alias("ls").examples("hover org list").runs(listOrgs);
  org
    .leaf("show <slug>", "Shows an organisation and what it uses")
    .examples("hover org show acme")
    .runs(showOrg, about);
  org
    .leaf("set-standing <slug> <standing>", "Sets the standing of an organisation: good, past_due or banned")
    .examples("hover org set-standing acme past_due")
    .runs(setStanding, about);
  limitFlags(
    quotaFlags(
      org
        .leaf("update <slug>", "Changes quota and limits of an organisation; what is not given stays")
        .alias("set-quota"),
    ),
  )
    .examples("hover org update acme --machines 200 --rate start=20:100")
    .runs(setQuota, about);
}

function quotaFlags(command: HoverCommand): HoverCommand {
  return command
    .option("--machines <n>", "machines it may have", whole(0, 1_000_000))
    .option("--memory <amount>", "memory of all its machines, e.g. 64gb", amountMb)
    .option(
      "--images, --image-mb <amount>",
      "images of all its machines, each once for a host, e.g. 2tb",
      amountMb,
    );
}

async function createOrg(
  session: Session,
  [slug]: [string],
  flags: QuotaFlags & { name?: string },
): Promise<void> {
  const client = await session.client(OrganizationsServiceClient);
  const request = { slug, name: flags.name ?? "", quota: quotaOf(flags, DEFAULT_QUOTA) };
  const { organization } = await session.call(client, client.createOrganization, request);
  show(session, organization);
  if (!session.json) session.suggest(`hover token create --org ${slug}`);
}

async function listOrgs(session: Session): Promise<void> {
  const client = await session.client(OrganizationsServiceClient);
  const orgs: Organization[] = [];
  const all = pages((page) => session.call(client, client.listOrganizations, page));
  for await (const { organizations } of all) orgs.push(...organizations);
  if (session.json) session.printJson(orgs.map((org) => toJson(org)));
  else session.printLines(orgTable(orgs, session.terminal.width));
}

async function showOrg(session: Session, [slug]: [string]): Promise<void> {
  const client = await session.client(OrganizationsServiceClient);
  show(session, (await session.call(client, client.getOrganization, { slug })).organization);
}

async function setStanding(session: Session, [slug, word]: [string, string]): Promise<void> {
  const standing = STANDINGS[word.replaceAll("-", "_")];
  if (standing === undefined) throw new UsageError(`A standing is good, past_due or banned, not "${word}".`);
  const client = await session.client(OrganizationsServiceClient);
  const request = { slug, standing, quota: undefined, limits: undefined };
  show(session, (await session.call(client, client.updateOrganization, request)).organization);
}

/** Reads quota and limits first, since both are replaced as a whole. */
async function setQuota(session: Session, [slug]: [string], flags: UpdateFlags): Promise<void> {
  const { machines, memory, imageMb, rate, creates } = flags;
  if ([machines, memory, imageMb, rate, creates].every((flag) => flag === undefined)) {
    throw new UsageError(
      "Say what to set: --machines N, --memory 64gb, --images 2tb, --rate ACTION=N:BURST or --creates N.",
    );
  }
  const client = await session.client(OrganizationsServiceClient);
  const { organization: before } = await session.call(client, client.getOrganization, { slug });
  const quota = quotaOf(flags, before?.quota ?? DEFAULT_QUOTA);
  const limits = limitsOf(flags, before?.limits);
  const request = { slug, standing: Standing.UNSPECIFIED, quota, limits };
  show(session, (await session.call(client, client.updateOrganization, request)).organization);
}

function quotaOf(
  { machines, memory, imageMb }: QuotaFlags,
  base: NonNullable<Organization["quota"]>,
): Organization["quota"] {
  if (machines === undefined && memory === undefined && imageMb === undefined) return undefined;
  return {
    machines: machines ?? base.machines,
    memoryMb: memory === undefined ? base.memoryMb : BigInt(memory),
    imageMb: imageMb === undefined ? base.imageMb : BigInt(imageMb),
  };
}

function show(session: Session, org: Organization | undefined): void {
  if (!org) throw new Fault("INTERNAL", "EMPTY_ANSWER", "the API's answer holds no organisation");
  if (session.json) session.printJson(toJson(org));
  else session.printLines([...orgTable([org], session.terminal.width), ...limitLines(org)]);
}

/** Formats an amount of a quota; `?` when the api does not say it. */
function used(mb: bigint, quotaMb: bigint | undefined): string {
  return `${megabytes(Number(mb))} of ${quotaMb === undefined ? "?" : megabytes(Number(quotaMb))}`;
}

function orgTable(orgs: readonly Organization[], width: number | undefined): readonly string[] {
  const columns = [
    { title: "SLUG", min: 8 },
    { title: "NAME", min: 8, dropRank: 1 },
    { title: "STANDING" },
    { title: "MACHINES", align: "right" as const },
    { title: "MEMORY", align: "right" as const },
    { title: "IMAGES", align: "right" as const },
    { title: "CREATED", dropRank: 2 },
  ];
  const rows = orgs.map((org) => [
    org.slug,
    org.name,
    standingName(org.standing),
    `${org.machinesUsed} of ${org.quota?.machines ?? "?"}`,
    used(org.memoryMbUsed, org.quota?.memoryMb),
    used(org.imageMbUsed, org.quota?.imageMb),
    ago(org.createTime, Date.now()),
  ]);
  return table(columns, rows, width);
}
