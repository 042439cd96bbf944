import {
  type CreateTokenRequest,
  type OrganizationsServiceServer,
  type Quota,
  Organization as WireOrganization,
  Standing as WireStanding,
} from "../../gen/windhover/admin/v1/organizations.ts";
import { mintToken } from "../../lib/auth/auth.ts";
import { requireScope, type Scope } from "../../lib/auth/claims.ts";
import type { SigningKeys } from "../../lib/auth/keys.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkSlug, checkTitle, requireName } from "../requests/names.ts";
import { readPage } from "../requests/pages.ts";
import { limitsFromProto, limitsToProto } from "../shares/convert-limits.ts";
import { type Amount, DEFAULT_QUOTA, type Organization, type Standing } from "./organization.ts";
import type { OrganizationStore } from "./organization-store.ts";

const MAX_MACHINES = 1_000_000;
const SCOPES: readonly Scope[] = ["machines:read", "machines:write", "admin"];
const TTL_SECONDS = { min: 60n, max: 31_536_000n, default: 86_400n };

/** @param keys sign the tokens */
export function organizationsService(
  store: OrganizationStore,
  keys: SigningKeys,
  clock: Clock,
): OrganizationsServiceServer {
  return {
    createOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const violations = new Violations();
      violations.add("slug", checkSlug(req.slug));
      violations.add("name", checkTitle(req.name));
      const quota = req.quota ? quotaFromProto(req.quota, violations) : DEFAULT_QUOTA;
      violations.throwIfAny();
      const organization = await store.create(req.slug, req.name || req.slug, quota);
      return { organization: organizationToProto(organization) };
    }),
    getOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const organization = await store.get(requireName("slug", req.slug, checkSlug));
      return { organization: organizationToProto(organization) };
    }),
    listOrganizations: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const { items, nextPageToken } = await readPage(req, {
        name: "organizations",
        keyForms: ["name"],
        keysOf: ({ slug }) => [slug],
        read: ([after] = [""], limit) => store.list(after ?? "", limit),
        toProto: organizationToProto,
        bytesOf: (organization) => WireOrganization.encode(organization).finish().length,
      });
      return { organizations: items, nextPageToken };
    }),
    updateOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const violations = new Violations();
      violations.add("slug", checkSlug(req.slug));
      const standing = standingFromProto(req.standing, violations);
      const quota = req.quota && quotaFromProto(req.quota, violations);
      const limits = req.limits && limitsFromProto(req.limits, violations);
      violations.throwIfAny();
      const organization = await store.update(req.slug, { standing, quota, limits });
      return { organization: organizationToProto(organization) };
    }),
    createToken: unary(async (req, ctx) => {
      const { subject } = requireScope(ctx, "admin");
      const { scopes, ttlSeconds } = tokenRequestFromProto(req);
      await store.get(req.org);
      const token = await mintToken(keys.signing(), { subject, org: req.org, scopes }, ttlSeconds, clock);
      return { token, expireTime: new Date(clock.now() + ttlSeconds * 1_000) };
    }),
  };
}

function tokenRequestFromProto(req: CreateTokenRequest): { scopes: Scope[]; ttlSeconds: number } {
  const violations = new Violations();
  violations.add("org", checkSlug(req.org));
  const scopes = SCOPES.filter((scope) => req.scopes.includes(scope));
  const areKnown = req.scopes.every((scope) => SCOPES.some((known) => known === scope));
  violations.check(areKnown && scopes.length > 0, "scopes", `must be one or more of ${SCOPES.join(", ")}`);
  const { min, max } = TTL_SECONDS;
  const ttl = req.ttlSeconds === 0n ? TTL_SECONDS.default : req.ttlSeconds;
  violations.check(ttl >= min && ttl <= max, "ttl_seconds", `must be ${min} to ${max}`);
  violations.throwIfAny();
  return { scopes, ttlSeconds: Number(ttl) };
}

function quotaFromProto(quota: Quota, violations: Violations): Amount {
  const memoryMb = Number(quota.memoryMb);
  const isNumber = quota.machines >= 0 && quota.machines <= MAX_MACHINES;
  violations.check(isNumber, "quota.machines", `must be 0 to ${MAX_MACHINES}`);
  const isMemory = memoryMb >= 0 && Number.isSafeInteger(memoryMb);
  violations.check(isMemory, "quota.memory_mb", `must be 0 to ${Number.MAX_SAFE_INTEGER}`);
  return { machines: quota.machines, memoryMb };
}

const STANDING_TO_PROTO: Record<Standing, WireStanding> = {
  good: WireStanding.GOOD,
  past_due: WireStanding.PAST_DUE,
  banned: WireStanding.BANNED,
};

const STANDING_FROM_PROTO: Record<WireStanding, Standing | undefined> = {
  [WireStanding.UNSPECIFIED]: undefined,
  [WireStanding.GOOD]: "good",
  [WireStanding.PAST_DUE]: "past_due",
  [WireStanding.BANNED]: "banned",
  [WireStanding.UNRECOGNIZED]: undefined,
};

/** Converts a standing; undefined when it is unspecified. */
function standingFromProto(wire: WireStanding, violations: Violations): Standing | undefined {
  const standing = STANDING_FROM_PROTO[wire];
  const isKnown = standing !== undefined || wire === WireStanding.UNSPECIFIED;
  violations.check(isKnown, "standing", "must be a value of windhover.admin.v1.Standing");
  return standing;
}

function organizationToProto(org: Organization): WireOrganization {
  return {
    slug: org.slug,
    name: org.name,
    standing: STANDING_TO_PROTO[org.standing],
    quota: { machines: org.quota.machines, memoryMb: BigInt(org.quota.memoryMb) },
    machinesUsed: org.used.machines,
    memoryMbUsed: BigInt(org.used.memoryMb),
    createTime: timeToProto(org.createTimeMs),
    limits: org.limits ? limitsToProto(org.limits) : undefined,
  };
}
