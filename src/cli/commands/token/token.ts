import { OrganizationsServiceClient } from "../../../gen/windhover/admin/v1/organizations.ts";
import { type Token, TokensServiceClient } from "../../../gen/windhover/admin/v1/tokens.ts";
import { toJson } from "../../render/json.ts";
import { type Column, table } from "../../render/table.ts";
import { ago } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { pages, type Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { duration, instant, words } from "../values.ts";
import type { Restrictions } from "./restrictions.ts";

const DEFAULT_SCOPES = ["machines:read", "machines:write"];
const DEFAULT_TTL_MS = 86_400_000;

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "ORG", min: 6 },
  { title: "SUBJECT", min: 8 },
  { title: "SCOPES", min: 10 },
  { title: "ENDS IN", dropRank: 1 },
  { title: "CREATED", dropRank: 2 },
  { title: "EXPIRES" },
  { title: "REVOKED" },
];

export function defineToken(token: HoverCommand): void {
  token
    .leaf("create", "Creates a token and prints it; its text is not stored anywhere")
    .requiredOption("-o, --org <slug>", "organisation it is for")
    .option(
      "-s, --scope <scopes>",
      `machines:read, machines:write, admin; several with commas (default: ${DEFAULT_SCOPES.join()})`,
      words,
    )
    .option("--subject <name>", "who it is for, in lists and in the audit log (default: you)")
    .option("--ttl <time>", "how long it is valid, 1m to 365d (default: 1d)", duration)
    .examples("hover token create -o acme --subject ci --ttl 30d")
    .runs(createToken, (_args, { org }) => ({ org }));
  token
    .leaf("list", "Lists tokens that have not expired")
    .alias("ls")
    .option("-o, --org <slug>", "only those of an organisation")
    .examples("hover token list -o acme")
    .runs(listTokens);
  token
    .leaf("revoke [id]", "Revokes a token and all that was made of it, everywhere within seconds")
    .option("--all-of <slug>", "all tokens of an organisation issued until now, instead of one")
    .examples("hover token revoke ID", "hover token revoke --all-of acme")
    .runs(revokeToken);
  token
    .leaf("attenuate", "Restricts your token and prints the new one; asks nobody when --key is given")
    .option("-o, --org <slugs>", "only for these organisations; for an operator's token", words)
    .option("-a, --app <apps>", "only for these apps", words)
    .option("-m, --machine <ids>", "only for these machines", words)
    .option("--action <actions>", "only for these, e.g. machines:read, machines:start", words)
    .option("--ttl <time>", "valid for at most this long", duration)
    .option("--expires <time>", "valid until then: 2026-12-31T00:00:00Z, or for so long: 12h", instant)
    .option("--key <hex>", "public key of the cluster, as `hover token inspect` shows it")
    .examples(
      "hover token attenuate --app web --action machines:read --expires 12h",
      "hover token attenuate --machine ID --action machines:start,machines:stop",
    )
    .runs<[], Restrictions & { key?: string }>(async (session, _args, flags) =>
      (await import("./attenuate.ts")).attenuateToken(session, flags),
    );
  token
    .leaf("inspect", "Shows what your token says: id, scopes, restrictions")
    .option("--key <hex>", "public key of the cluster (default: the API is asked)")
    .examples("hover token inspect")
    .runs<[], { key?: string }>(async (session, _args, { key }) =>
      (await import("./attenuate.ts")).inspectToken(session, key),
    );
}

/** Prints the token alone on standard output, so that it can be piped. */
async function createToken(
  session: Session,
  _args: [],
  flags: { org: string; scope?: readonly string[]; ttl?: number; subject?: string },
): Promise<void> {
  const { org, scope = DEFAULT_SCOPES, ttl = DEFAULT_TTL_MS, subject = "" } = flags;
  const client = await session.client(OrganizationsServiceClient);
  const request = { org, scopes: [...scope], ttlSeconds: BigInt(Math.round(ttl / 1_000)), subject };
  const { token, id, expireTime } = await session.call(client, client.createToken, request);
  if (session.json)
    return session.printJson({ token, id, expire_time: toJson(expireTime), org, scopes: request.scopes });
  session.printLines([token]);
  session.say(`For ${org}, ${scope.join(", ")}; expires ${ago(expireTime, Date.now())}; id ${id}.`);
  session.suggest("WINDHOVER_TOKEN=... hover machine list", `hover token revoke ${id}`);
}

async function listTokens(session: Session, _args: [], { org = "" }: { org?: string }): Promise<void> {
  const client = await session.client(TokensServiceClient);
  const tokens: Token[] = [];
  const all = pages((page) => session.call(client, client.listTokens, { org, ...page }));
  for await (const page of all) tokens.push(...page.tokens);
  if (session.json) return session.printJson(tokens.map((token) => toJson(token)));
  const now = Date.now();
  session.printLines(
    table(
      COLUMNS,
      tokens.map((token) => [
        token.id,
        token.org,
        token.subject,
        token.scopes.join(),
        token.last4,
        ago(token.createTime, now),
        ago(token.expireTime, now),
        ago(token.revokeTime, now),
      ]),
      session.terminal.width,
    ),
  );
}

async function revokeToken(
  session: Session,
  [id]: [string | undefined],
  { allOf }: { allOf?: string },
): Promise<void> {
  if ((id === undefined) === (allOf === undefined)) {
    throw new UsageError("Give the id of a token, or --all-of ORG.");
  }
  const client = await session.client(TokensServiceClient);
  if (allOf !== undefined) {
    const answer = await session.call(client, client.revokeOrganizationTokens, { org: allOf });
    if (session.json) return session.printJson(toJson(answer));
    return session.printLines([`all tokens of ${allOf} issued until now are revoked`]);
  }
  const answer = await session.call(client, client.revokeToken, { id: id ?? "" });
  if (session.json) return session.printJson(toJson(answer));
  const note = answer.known ? "" : "  (it is not in the list of tokens)";
  session.printLines([`${id} revoked${note}`]);
}
