import { createPrivateKey, type KeyObject } from "node:crypto";
import {
  type CreateTokenRequest,
  type OrganizationsServiceServer,
  type Quota,
  type Organization as WireOrganization,
  Standing as WireStanding,
} from "../../gen/windhover/admin/v1/organizations.ts";
import { mintToken, requireScope, type Scope } from "../../lib/auth/auth.ts";
import { unary } from "../../lib/grpc/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { Violations } from "../../lib/runtime/violations.ts";
import { timeTo } from "../machines/convert-machine.ts";
import { checkSlug } from "../requests/names.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "../requests/page-token.ts";
import { nameOf } from "../requests/request.ts";
import type { OrganizationStore } from "./organization-store.ts";
import { type Amount, DEFAULT_QUOTA, type Organization, type Standing } from "./quota.ts";

const LIST = "organizations";
const MAX_MACHINES = 1_000_000;
const MAX_NAME = 200;
const SCOPES: readonly Scope[] = ["machines:read", "machines:write", "admin"];
const TTL_SECONDS = { least: 60n, most: 31_536_000n, usual: 86_400n };

/** Puts organisations on the wire: checks and converts, and decides nothing else. @param signingKey PEM; undefined when this api mints no tokens */
export function organizationsService(
  store: OrganizationStore,
  signingKey: string | undefined,
  clock: Clock,
): OrganizationsServiceServer {
  const key = signingKey === undefined ? undefined : createPrivateKey(signingKey);
  return {
    createOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const violations = new Violations();
      violations.add("slug", checkSlug(req.slug));
      if (req.name.length > MAX_NAME) violations.add("name", `must have at most ${MAX_NAME} characters`);
      const quota = req.quota ? quotaFrom(req.quota, violations) : DEFAULT_QUOTA;
      violations.throwIfAny();
      return { organization: organizationTo(await store.create(req.slug, req.name || req.slug, quota)) };
    }),
    getOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      return { organization: organizationTo(await store.get(nameOf("slug", req.slug, checkSlug))) };
    }),
    listOrganizations: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const limit = pageSize(req.pageSize);
      const [after = ""] = decodePageToken(LIST, 1, req.pageToken) ?? [];
      const { items, last } = firstPage(await store.list(after, limit + 1), limit);
      return {
        organizations: items.map(organizationTo),
        nextPageToken: last ? encodePageToken(LIST, [last.slug]) : "",
      };
    }),
    updateOrganization: unary(async (req, ctx) => {
      requireScope(ctx, "admin");
      const violations = new Violations();
      violations.add("slug", checkSlug(req.slug));
      const standing = standingFrom(req.standing, violations);
      const quota = req.quota && quotaFrom(req.quota, violations);
      violations.throwIfAny();
      return { organization: organizationTo(await store.update(req.slug, standing, quota)) };
    }),
    createToken: unary(async (req, ctx) => {
      const { subject } = requireScope(ctx, "admin");
      const { scopes, ttlSeconds } = tokenRequest(req);
      if (!key) throw signingKeyMissing();
      await store.get(req.org);
      return mint(key, { subject, org: req.org, scopes }, ttlSeconds, clock);
    }),
  };
}

async function mint(
  key: KeyObject,
  claims: Parameters<typeof mintToken>[1],
  ttlSeconds: number,
  clock: Clock,
) {
  const token = await mintToken(key, claims, ttlSeconds, clock);
  return { token, expireTime: new Date(clock.now() + ttlSeconds * 1_000) };
}

function tokenRequest(req: CreateTokenRequest): { scopes: Scope[]; ttlSeconds: number } {
  const violations = new Violations();
  violations.add("org", checkSlug(req.org));
  const scopes = SCOPES.filter((scope) => req.scopes.includes(scope));
  const isKnown = req.scopes.every((scope) => SCOPES.some((known) => known === scope));
  if (!isKnown || scopes.length === 0)
    violations.add("scopes", `must be one or more of ${SCOPES.join(", ")}`);
  const ttl = req.ttlSeconds === 0n ? TTL_SECONDS.usual : req.ttlSeconds;
  if (ttl < TTL_SECONDS.least || ttl > TTL_SECONDS.most) {
    violations.add("ttl_seconds", `must be ${TTL_SECONDS.least} to ${TTL_SECONDS.most}`);
  }
  violations.throwIfAny();
  return { scopes, ttlSeconds: Number(ttl) };
}

function quotaFrom(quota: Quota, violations: Violations): Amount {
  const memoryMb = Number(quota.memoryMb);
  if (quota.machines < 0 || quota.machines > MAX_MACHINES)
    violations.add("quota.machines", `must be 0 to ${MAX_MACHINES}`);
  if (memoryMb < 0 || !Number.isSafeInteger(memoryMb))
    violations.add("quota.memory_mb", "must not be negative");
  return { machines: quota.machines, memoryMb };
}

const STANDING = {
  good: WireStanding.GOOD,
  past_due: WireStanding.PAST_DUE,
  banned: WireStanding.BANNED,
} as const satisfies Record<Standing, WireStanding>;

function standingFrom(standing: WireStanding, violations: Violations): Standing | undefined {
  switch (standing) {
    case WireStanding.UNSPECIFIED:
      return undefined;
    case WireStanding.GOOD:
      return "good";
    case WireStanding.PAST_DUE:
      return "past_due";
    case WireStanding.BANNED:
      return "banned";
    default:
      violations.add("standing", "must be a value of windhover.admin.v1.Standing");
      return undefined;
  }
}

function organizationTo(org: Organization): WireOrganization {
  return {
    slug: org.slug,
    name: org.name,
    standing: STANDING[org.standing],
    quota: { machines: org.quota.machines, memoryMb: BigInt(org.quota.memoryMb) },
    machinesUsed: org.used.machines,
    memoryMbUsed: BigInt(org.used.memoryMb),
    createTime: timeTo(org.createTimeMs),
  };
}

function signingKeyMissing(): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "SIGNING_KEY_MISSING",
    "this api has no signing key (TOKEN_SIGNING_KEY_FILE), so it mints no tokens",
  );
}
