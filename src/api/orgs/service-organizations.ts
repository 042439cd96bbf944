import {
  type CreateTokenRequest,
  type OrganizationsServiceServer,
  type Quota,
  Organization as WireOrganization,
  Standing as WireStanding,
} from "../../gen/windhover/admin/v1/organizations.ts";
import { isPlain } from "../../lib/auth/biscuit/block-source.ts";
import { requireScope, type Scope } from "../../lib/auth/claims.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkSlug, checkTitle, requireName } from "../requests/names.ts";
import { readPage } from "../requests/pages.ts";
import { limitsFromProto, limitsToProto } from "../shares/convert-limits.ts";
import { issueRecorded, type TokenParts } from "../tokens/issue-token.ts";
import { type Amount, DEFAULT_QUOTA, type Organization, type Standing } from "./organization.ts";
import type { OrganizationStore } from "./organization-store.ts";

const MAX_MACHINES = 1_000_000;
const MAX_SUBJECT = 64;
const SCOPES: readonly Scope[] = ["machines:read", "machines:write", "admin"];
const TTL_SECONDS = { min: 60n, max: 31_536_000n, default: 86_400n };

/** @param restrictionsChanged called when a standing has changed, so that it counts here at once */
export function organizationsService(
  store: OrganizationStore,
  tokenParts: TokenParts,
  restrictionsChanged: () => Promise<void>,
): OrganizationsServiceServer {
  return {
    createOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const violations = new Violations();
      violations.add("slug", checkSlug(req.slug));
      violations.add("name", checkTitle(req.name));
      const quota = { ...DEFAULT_QUOTA, ...(req.quota && quotaFromProto(req.quota, violations)) };
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
      if (standing !== undefined) await restrictionsChanged();
      return { organization: organizationToProto(organization) };
    }),
    createToken: unary(async (req, ctx) => {
      const claims = requireScope(ctx, "admin");
      const { subject } = claims;
      if (claims.ids.length > 1) throw restrictedMaker();
      const { scopes, ttlSeconds } = tokenRequestFromProto(req);
      await store.get(req.org);
      const grant = { subject: req.subject || subject, org: req.org, scopes };
      const { token, id, expiresMs } = await issueRecorded(tokenParts, grant, ttlSeconds, subject);
      return { token, id, expireTime: new Date(expiresMs) };
    }),
  };
}

/** A new token would not be bound by the restrictions, nor end with a revocation. */
function restrictedMaker(): Fault {
  const message =
    "a token that was attenuated makes no tokens; attenuate it further, or use the one it was made of";
  return new Fault("PERMISSION_DENIED", "TOKEN_RESTRICTED", message);
}

function tokenRequestFromProto(req: CreateTokenRequest): { scopes: Scope[]; ttlSeconds: number } {
  const violations = new Violations();
  violations.add("org", checkSlug(req.org));
  const isSubject = isPlain(req.subject) && req.subject.length <= MAX_SUBJECT;
  violations.check(isSubject, "subject", `must be 1 to ${MAX_SUBJECT} of A-Z, a-z, 0-9 and @ . _ : / + -`);
  const scopes = SCOPES.filter((scope) => req.scopes.includes(scope));
  const areKnown = req.scopes.every((scope) => SCOPES.some((known) => known === scope));
  violations.check(areKnown && scopes.length > 0, "scopes", `must be one or more of ${SCOPES.join(", ")}`);
  const { min, max } = TTL_SECONDS;
  const ttl = req.ttlSeconds === 0n ? TTL_SECONDS.default : req.ttlSeconds;
  violations.check(ttl >= min && ttl <= max, "ttl_seconds", `must be ${min} to ${max}`);
  violations.throwIfAny();
  return { scopes, ttlSeconds: Number(ttl) };
}

/** Converts a quota. One of images is optional: older clients do not know it. */
function quotaFromProto(quota: Quota, violations: Violations): Partial<Amount> {
  const isNumber = quota.machines >= 0 && quota.machines <= MAX_MACHINES;
  violations.check(isNumber, "quota.machines", `must be 0 to ${MAX_MACHINES}`);
  const memoryMb = megabytesFromProto(quota.memoryMb, "quota.memory_mb", violations);
  const { machines } = quota;
  if (quota.imageMb === undefined) return { machines, memoryMb };
  return { machines, memoryMb, imageMb: megabytesFromProto(quota.imageMb, "quota.image_mb", violations) };
}

function megabytesFromProto(megabytes: bigint, field: string, violations: Violations): number {
  const value = Number(megabytes);
  const isAmount = value >= 0 && Number.isSafeInteger(value);
  violations.check(isAmount, field, `must be 0 to ${Number.MAX_SAFE_INTEGER}`);
  return value;
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
    quota: {
      machines: org.quota.machines,
      memoryMb: BigInt(org.quota.memoryMb),
      imageMb: BigInt(org.quota.imageMb),
    },
    machinesUsed: org.used.machines,
    memoryMbUsed: BigInt(org.used.memoryMb),
    imageMbUsed: BigInt(org.used.imageMb),
    createTime: timeToProto(org.createTimeMs),
    limits: org.limits ? limitsToProto(org.limits) : undefined,
  };
}
