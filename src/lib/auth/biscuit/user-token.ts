import { randomBytes } from "node:crypto";
import { BadBlock, expiryOf, type Value } from "../checks.ts";
import { type Claims, type Grant, rejected, SCOPES } from "../claims.ts";
import { type SigningKey, seedOf } from "../keys.ts";
import type { OpenedBiscuit } from "./biscuit-codec.ts";
import { Biscuits } from "./biscuits.ts";
import { type Block, isPlain, parseBlock } from "./block-source.ts";

/** Shared by the process: it is stateless. */
export const biscuits = new Biscuits();

/** Of a block's revocation id: enough to be unique, and short enough to type. */
const BLOCK_ID_LENGTH = 24;

/** What a token of a user has besides its grant. */
export interface UserTokenExtra {
  /** 24 hex digits. Absent: random. */
  readonly id?: string;
  /** Restrictions by its issuer, as Datalog without an end: `check if app("web")`. */
  readonly checks?: readonly string[];
}

/** Mints a Biscuit. Times are whole seconds in it, so that its end is rounded down. */
export async function mintUserToken(
  { id: keyId, key }: SigningKey,
  { subject, org, scopes }: Grant,
  times: { readonly issuedMs: number; readonly expiresMs: number },
  { id = randomBytes(12).toString("hex"), checks = [] }: UserTokenExtra = {},
): Promise<{ readonly token: string; readonly id: string }> {
  for (const text of [subject, org]) {
    if (!isPlain(text)) throw new TypeError(`a token cannot hold "${text}"`);
  }
  const code = [
    ...[`id("${id}")`, `user("${subject}")`, `org("${org}")`],
    ...scopes.map((scope) => `scope("${scope}")`),
    `issued(${times.issuedMs})`,
    `check if time($time), $time < ${dateOf(times.expiresMs)}`,
    ...checks,
  ];
  const token = await biscuits.mint(seedOf(key), keyId, `${code.join(";\n")};`);
  return { token, id };
}

/** Writes a time as Datalog, rounded down to a second. */
export function dateOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/**
 * Converts what a Biscuit says. Its first block is the issuer's, the others are its holders'.
 *
 * @throws Fault `TOKEN_INVALID`
 */
export function claimsOf({ blocks, ids }: OpenedBiscuit): Claims {
  try {
    const [issued, ...added] = blocks.map(parseBlock);
    if (!issued) throw new BadBlock("it has no block");
    // Facts of a holder prove nothing.
    if (added.some(({ facts }) => facts.size > 0)) throw new BadBlock("only the issuer states facts");
    const checks = [issued, ...added].flatMap((block) => block.checks);
    const ends = checks.map(expiryOf).filter((end) => end !== undefined);
    if (issued.checks.every((check) => expiryOf(check) === undefined))
      throw new BadBlock("it does not expire");
    const expiresMs = Math.min(...ends);
    if (!Number.isFinite(expiresMs)) throw new BadBlock("it does not expire");
    const id = text(issued, "id");
    const scopes = issued.facts.get("scope") ?? [];
    return Object.freeze({
      id,
      ids: [id, ...ids.slice(1).map((each) => each.slice(0, BLOCK_ID_LENGTH))],
      subject: text(issued, "user"),
      org: text(issued, "org"),
      // A scope that this version does not know grants nothing.
      scopes: SCOPES.filter((scope) => scopes.includes(scope)),
      issuedMs: Number(only(issued, "issued")),
      expiresMs,
      checks: checks.filter((check) => expiryOf(check) === undefined),
    });
  } catch (err) {
    if (err instanceof BadBlock) throw rejected(err.message, err);
    throw err;
  }
}

function text(block: Block, name: string): string {
  return String(only(block, name));
}

function only(block: Block, name: string): Value {
  const [value, ...others] = block.facts.get(name) ?? [];
  if (value === undefined || others.length > 0) throw new BadBlock(`it lacks ${name}`);
  return value;
}
