import { Token, type TokensServiceServer } from "../../gen/windhover/admin/v1/tokens.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { publicBytes, type SigningKeys } from "../../lib/auth/keys.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkSlug, requireName } from "../requests/names.ts";
import { readPage } from "../requests/pages.ts";
import { LONGEST_LIFE_MS } from "./issue-token.ts";
import type { ListedToken, TokenStore } from "./token-store.ts";

const ID = /^[0-9a-f]{24}$/;

export interface TokenServiceParts {
  readonly keys: SigningKeys;
  readonly tokens: TokenStore;
  readonly orgs: { voidTokens(slug: string, notBeforeMs: number): Promise<void> };
  readonly clock: Clock;
  /** Called after a revocation, so that it counts here at once. */
  readonly refreshRevocations: () => Promise<void>;
}

export function tokensService(parts: TokenServiceParts): TokensServiceServer {
  const { keys, tokens: store, orgs, clock, refreshRevocations: changed } = parts;
  return {
    listTokens: unary(async (req, ctx) => {
      authorize(ctx, "admin");
      const org = req.org === "" ? undefined : requireName("org", req.org, checkSlug);
      const { items, nextPageToken } = await readPage(req, {
        name: `tokens ${org ?? ""}`,
        keyForms: ["time", "name"],
        keysOf: ({ createTime, id }) => [createTime, id],
        read: ([createTime, id] = [], limit) => store.list(org, positionOf(createTime, id), limit),
        toProto: tokenToProto,
        bytesOf: (token) => Token.encode(token).finish().length,
      });
      return { tokens: items, nextPageToken };
    }),
    revokeToken: unary(async (req, ctx) => {
      authorize(ctx, "admin");
      const violations = new Violations();
      violations.check(ID.test(req.id), "id", "must be 24 hex digits");
      violations.throwIfAny();
      const known = await store.revoke(req.id, LONGEST_LIFE_MS);
      await changed();
      return { known };
    }),
    revokeOrganizationTokens: unary(async (req, ctx) => {
      authorize(ctx, "admin");
      const org = requireName("org", req.org, checkSlug);
      // Tokens of this very millisecond are meant, too.
      const notBeforeMs = clock.now() + 1;
      await orgs.voidTokens(org, notBeforeMs);
      await changed();
      return { notBeforeTime: new Date(notBeforeMs) };
    }),
    listTokenKeys: unary((_req, ctx) => {
      requireScope(ctx, "admin", "machines:read", "machines:write");
      const found = keys.publicKeys();
      return { keys: found.map(({ id, publicKey }) => ({ id, publicKey: publicBytes(publicKey) })) };
    }),
  };
}

function positionOf(createTime: string | undefined, id: string | undefined) {
  return createTime === undefined || id === undefined ? undefined : { createTime, id };
}

function tokenToProto(token: ListedToken): Token {
  const { id, org, subject, scopes, creator, last4 } = token;
  return {
    ...{ id, org, subject, creator, last4 },
    scopes: [...scopes],
    createTime: timeToProto(token.createTimeMs),
    expireTime: timeToProto(token.expireTimeMs),
    revokeTime: timeToProto(token.revokeTimeMs),
  };
}
