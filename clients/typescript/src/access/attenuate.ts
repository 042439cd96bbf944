import { loadBiscuit } from "./biscuit.ts";

/** Restrictions of a token. An absent one restricts nothing. */
export interface Restrictions {
  readonly orgs?: readonly string[];
  /** For calls that name an app, e.g. `machines:create`. Those that name a machine are then refused. */
  readonly apps?: readonly string[];
  /** Ids of machines. */
  readonly machines?: readonly string[];
  /** E.g. `machines:start`. */
  readonly actions?: readonly string[];
  /** How long the new token is valid, at most as long as the old one. */
  readonly ttlMs?: number;
}

const PLAIN = /^[A-Za-z0-9 !#$%&'*+./:<=>?@^_`|~-]{0,256}$/;

/**
 * Makes a token that allows less, without asking anybody.
 *
 * @param publicKey the 32 bytes of the cluster's key, or their hex digits; `hover token inspect`
 *   prints them
 * @throws TypeError for restrictions that cannot be written, or none
 */
export async function attenuateToken(
  token: string,
  restrictions: Restrictions,
  publicKey: Uint8Array | string,
): Promise<string> {
  const code = datalogOf(restrictions, Date.now());
  const key = typeof publicKey === "string" ? Buffer.from(publicKey, "hex") : publicKey;
  const biscuit = await loadBiscuit();
  return biscuit.attenuate(token, key, code);
}

/** Writes restrictions as Datalog. */
function datalogOf({ ttlMs, ...named }: Restrictions, nowMs: number): string {
  const names = { orgs: "org", apps: "app", machines: "machine", actions: "action" } as const;
  const checks = Object.entries(names).flatMap(([option, fact]) => {
    const values = named[option as keyof typeof names];
    if (values === undefined) return [];
    if (values.length === 0) throw new TypeError(`${option} has to name one at least`);
    const wrong = values.find((value) => !PLAIN.test(value));
    if (wrong !== undefined) throw new TypeError(`${option} cannot have "${wrong}"`);
    return [`check if ${values.map((value) => `${fact}("${value}")`).join(" or ")}`];
  });
  if (ttlMs !== undefined) {
    const end = `${new Date(nowMs + ttlMs).toISOString().slice(0, 19)}Z`;
    checks.push(`check if time($time), $time < ${end}`);
  }
  if (checks.length === 0)
    throw new TypeError("say what to restrict: orgs, apps, machines, actions or ttlMs");
  return `${checks.join(";\n")};`;
}
