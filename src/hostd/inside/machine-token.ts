import { createHash } from "node:crypto";
import { mintUserToken } from "../../lib/auth/biscuit/user-token.ts";
import type { SigningKeys } from "../../lib/auth/keys.ts";
import type { Revocations } from "../../lib/auth/revocations.ts";
import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineSpec } from "../machines/version.ts";

const TTL_MS = 15 * 60_000;
/** Tokens that end sooner are made anew. */
const RENEW_MS = 5 * 60_000;
const MAX_TOKENS = 4_096;
const SECOND_MS = 1_000;

/** What a program may do with other machines of its app. */
const ACTIONS = [
  ...["machines:get", "machines:list", "machines:wait", "machines:watch", "machines:list-events"],
  ...["machines:list-versions", "machines:start", "machines:create", "machines:acquire"],
] as const;

/** A machine whose token is made. */
export interface TokenOwner extends Pick<Machine, "id"> {
  readonly spec: Pick<MachineSpec, "org" | "app">;
}

interface Minted {
  readonly token: string;
  readonly keyId: number;
  readonly issuedMs: number;
  readonly expiresMs: number;
}

export interface MachineTokensParts {
  readonly keys: SigningKeys;
  readonly revocations: Pick<Revocations, "isRevoked">;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Makes the tokens with which requests of programs are passed on to apis. A token is for one machine:
 * its organisation, its app, and some actions. It never leaves the hosts and apis.
 */
export class MachineTokens {
  readonly #parts: MachineTokensParts;
  readonly #tokens = new Map<string, Promise<Minted>>();

  constructor(parts: MachineTokensParts) {
    this.#parts = parts;
  }

  /** @throws Fault TOKEN_REVOKED */
  async tokenOf(machine: TokenOwner): Promise<string> {
    const { keys, revocations, clock } = this.#parts;
    const id = machineTokenId(machine.id);
    const { org } = machine.spec;
    // Times of a token are whole seconds, so one of this second could be void and no other is to be had.
    if (revocations.isRevoked({ org, ids: [id], issuedMs: clock.now() })) throw revoked(machine.id, id);
    const known = await this.#tokens.get(machine.id)?.catch(() => undefined);
    if (
      known &&
      known.expiresMs > clock.now() + RENEW_MS &&
      known.keyId === keys.signing().id &&
      !revocations.isRevoked({ org, ids: [id], issuedMs: known.issuedMs })
    )
      return known.token;
    const minting = this.#mint(machine, id);
    this.#tokens.delete(machine.id);
    this.#tokens.set(machine.id, minting);
    if (this.#tokens.size > MAX_TOKENS) this.#tokens.delete(this.#tokens.keys().next().value ?? "");
    return (await minting).token;
  }

  async #mint({ id, spec: { org, app } }: TokenOwner, tokenId: string): Promise<Minted> {
    const { keys, clock } = this.#parts;
    const key = keys.signing();
    const issuedMs = clock.now();
    const expiresMs = Math.floor((issuedMs + TTL_MS) / SECOND_MS) * SECOND_MS;
    const actions = ACTIONS.map((action) => `"${action}"`).join(", ");
    const checks = [`check if app("${app}")`, `check if action($action), [${actions}].contains($action)`];
    const grant = { subject: `machine:${id}`, org, scopes: ["machines:read", "machines:write"] } as const;
    const { token } = await mintUserToken(key, grant, { issuedMs, expiresMs }, { id: tokenId, checks });
    return { token, keyId: key.id, issuedMs, expiresMs };
  }
}

/** Returns the id of all tokens of a machine: whoever revokes it voids those to come, too. */
export function machineTokenId(machineId: string): string {
  return createHash("sha256").update(`machine:${machineId}`).digest("hex").slice(0, 24);
}

function revoked(machineId: string, token: string): Fault {
  const message = `the token of machine ${machineId} has been revoked`;
  return new Fault("UNAUTHENTICATED", "TOKEN_REVOKED", message, { machine_id: machineId, token });
}
