import {
  type Organization,
  OrganizationsServiceClient,
  type Standing,
} from "../../gen/windhover/admin/v1/organizations.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import type { QuotaFlags } from "../define/org.ts";
import { table } from "../render/table.ts";
import { ago, megabytes } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import type { Session } from "../session.ts";
import { orgJson, standingName } from "../show/json.ts";
import { UsageError } from "../usage-error.ts";

const STANDINGS: Readonly<Record<string, Standing>> = { good: 1, past_due: 2, banned: 3 };
/** What an organisation has when only half of its quota is given at its creation; as in the contract. */
const DEFAULT_QUOTA = { machines: 100, memoryMb: 65_536n };

/** `hover org create`. */
export const createOrg: Handler<[string], QuotaFlags & { name?: string }> = async (
  session,
  [slug],
  flags,
) => {
  const client = await session.client(OrganizationsServiceClient);
  const request = { slug, name: flags.name ?? "", quota: quotaOf(flags, DEFAULT_QUOTA) };
  const { organization } = await session.call(client, client.createOrganization, request);
  return show(session, organization, `Next: hover token create --org ${slug}`);
};

/** `hover org list`. */
export const listOrgs: Handler<[], object> = async (session) => {
  const client = await session.client(OrganizationsServiceClient);
  const orgs: Organization[] = [];
  let pageToken = "";
  do {
    const page = await session.call(client, client.listOrganizations, { pageSize: 1_000, pageToken });
    orgs.push(...page.organizations);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  if (session.json) session.printJson(orgs.map(orgJson));
  else session.printLines(orgTable(orgs, session.terminal.width));
  return undefined;
};

/** `hover org show`. */
export const showOrg: Handler<[string], object> = async (session, [slug]) => {
  const client = await session.client(OrganizationsServiceClient);
  const { organization } = await session.call(client, client.getOrganization, { slug });
  return show(session, organization);
};

/** `hover org set-standing`. */
export const setStanding: Handler<[string, string], object> = async (session, [slug, word]) => {
  const standing = STANDINGS[word.replaceAll("-", "_")];
  if (standing === undefined) throw new UsageError(`A standing is good, past_due or banned, not "${word}".`);
  const client = await session.client(OrganizationsServiceClient);
  const request = { slug, standing, quota: undefined };
  const { organization } = await session.call(client, client.updateOrganization, request);
  return show(session, organization);
};

/** `hover org set-quota`. What is not given is read first, because a quota is replaced as a whole. */
export const setQuota: Handler<[string], QuotaFlags> = async (session, [slug], flags) => {
  if (flags.machines === undefined && flags.memory === undefined) {
    throw new UsageError("Say what to set: --machines N, --memory 64gb, or both.");
  }
  const client = await session.client(OrganizationsServiceClient);
  const { organization: before } = await session.call(client, client.getOrganization, { slug });
  const quota = quotaOf(flags, before?.quota ?? DEFAULT_QUOTA);
  const request = { slug, standing: 0 as const, quota };
  const { organization } = await session.call(client, client.updateOrganization, request);
  return show(session, organization);
};

function quotaOf(flags: QuotaFlags, base: NonNullable<Organization["quota"]>): Organization["quota"] {
  if (flags.machines === undefined && flags.memory === undefined) return undefined;
  return {
    machines: flags.machines ?? base.machines,
    memoryMb: flags.memory === undefined ? base.memoryMb : BigInt(flags.memory),
  };
}

function show(session: Session, org: Organization | undefined, next?: string): undefined {
  if (!org) throw new Fault("INTERNAL", "EMPTY_ANSWER", "the api's answer holds no organisation");
  if (session.json) session.printJson(orgJson(org));
  else {
    session.printLines(orgTable([org], session.terminal.width));
    if (next !== undefined) session.say(next);
  }
  return undefined;
}

function orgTable(orgs: readonly Organization[], width: number | undefined): readonly string[] {
  const columns = [
    { title: "SLUG", min: 8 },
    { title: "NAME", min: 8 },
    { title: "STANDING" },
    { title: "MACHINES", align: "right" as const },
    { title: "MEMORY", align: "right" as const },
    { title: "CREATED" },
  ];
  const rows = orgs.map((org) => [
    org.slug,
    org.name,
    standingName(org.standing),
    `${org.machinesUsed} of ${org.quota?.machines ?? "?"}`,
    `${megabytes(Number(org.memoryMbUsed))} of ${org.quota ? megabytes(Number(org.quota.memoryMb)) : "?"}`,
    ago(org.createTime, Date.now()),
  ]);
  return table(columns, rows, width);
}
