import { TokensServiceClient } from "../../../gen/windhover/admin/v1/tokens.ts";
import { TokenVerifier } from "../../../lib/auth/auth.ts";
import { keyIdOf } from "../../../lib/auth/biscuit/biscuit-wire.ts";
import { biscuits } from "../../../lib/auth/biscuit/user-token.ts";
import { publicKeyOf, publicKeysById } from "../../../lib/auth/keys.ts";
import { ago } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import { datalogOf, type Restrictions } from "./restrictions.ts";

/** Prints the new token alone on standard output, so that it can be piped. */
export async function attenuateToken(
  session: Session,
  flags: Restrictions & { key?: string },
): Promise<void> {
  const code = datalogOf(flags, Date.now());
  const key = await keyOf(session, flags.key);
  const token = await biscuits.attenuate(session.token(), key, code);
  const { ids, expiresMs } = await claimsOf(token, key);
  const id = ids.at(-1) ?? "";
  if (session.json) {
    return session.printJson({ token, id, expire_time: new Date(expiresMs).toISOString() });
  }
  session.printLines([token]);
  session.say(`Expires ${ago(new Date(expiresMs), Date.now())}; id ${id}.`);
}

export async function inspectToken(session: Session, keyHex: string | undefined): Promise<void> {
  const key = await keyOf(session, keyHex);
  const { id, ids, org, subject, scopes, issuedMs, expiresMs, checks } = await claimsOf(session.token(), key);
  const restrictions = checks.map(({ source }) => source);
  const publicKey = Buffer.from(key).toString("hex");
  const [issued, expires] = [new Date(issuedMs), new Date(expiresMs)];
  if (session.json) {
    const times = { issue_time: issued.toISOString(), expire_time: expires.toISOString() };
    return session.printJson({
      ...{ id, blocks: ids.slice(1), org, subject, scopes, ...times, restrictions, public_key: publicKey },
    });
  }
  const now = Date.now();
  session.printLines([
    `id            ${id}`,
    ...ids.slice(1).map((block) => `made of it    ${block}`),
    `organisation  ${org}`,
    `subject       ${subject}`,
    `scopes        ${scopes.join(", ")}`,
    `issued        ${ago(issued, now)}`,
    `expires       ${ago(expires, now)}`,
    ...restrictions.map((check) => `restricted    ${check}`),
    `public key    ${publicKey}`,
  ]);
}

async function claimsOf(token: string, key: Uint8Array) {
  const keys = publicKeysById(new Map([[keyIdOf(token), publicKeyOf(key)]]));
  return await new TokenVerifier(keys).verify(`Bearer ${token}`);
}

/** Returns the public key of the session's token: as given, or as the API tells it. */
async function keyOf(session: Session, hex: string | undefined): Promise<Uint8Array> {
  if (hex !== undefined) {
    if (!/^[0-9a-f]{64}$/i.test(hex)) throw new UsageError("--key takes 64 hex digits.");
    return Buffer.from(hex, "hex");
  }
  const id = keyIdOf(session.token());
  const client = await session.client(TokensServiceClient);
  const { keys } = await session.call(client, client.listTokenKeys, {});
  const found = keys.find((key) => key.id === id);
  if (!found) throw new UsageError(`The cluster has no key ${id}, which signed your token.`);
  return found.publicKey;
}
