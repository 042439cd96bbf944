import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Caller, CallOptions } from "../calls/caller.ts";
import { WindhoverError } from "../calls/errors.ts";
import { TokensServiceClient } from "../gen/windhover/admin/v1/tokens.ts";
import { DEFAULTS } from "../machines/timeouts.ts";
import { attenuateToken, type Restrictions } from "./attenuate.ts";

/** Makes tokens for others from the client's own. */
export class Tokens {
  readonly #caller: Caller;
  readonly #keys = new Map<number, Promise<Uint8Array>>();

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes a token that allows less. Reads the public key from the api once; makes no other call. */
  async attenuate(restrictions: Restrictions, options: CallOptions = {}): Promise<string> {
    const token = await this.#caller.token();
    return await attenuateToken(token, restrictions, await this.#keyOf(token, options));
  }

  #keyOf(token: string, options: CallOptions): Promise<Uint8Array> {
    const id = keyIdOf(token);
    const key = this.#keys.get(id) ?? this.#fetchKey(id, options);
    this.#keys.set(id, key);
    key.catch(() => this.#keys.delete(id));
    return key;
  }

  async #fetchKey(id: number, { timeoutMs = DEFAULTS.callMs, signal }: CallOptions): Promise<Uint8Array> {
    const scope = { timeoutMs, signal, retry: "always" } as const;
    const method = (client: TokensServiceClient) => client.listTokenKeys;
    const { keys } = await this.#caller.unary(TokensServiceClient, method, {}, scope);
    const found = keys.find((key) => key.id === id);
    if (!found) throw invalidToken(`the cluster has no key ${id}`);
    return found.publicKey;
  }
}

// Field number of Biscuit's schema.proto.
const ROOT_KEY_ID = 1;

/** Reads the id of the key that a token names. */
function keyIdOf(token: string): number {
  try {
    const reader = new BinaryReader(Buffer.from(token, "base64url"));
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === ROOT_KEY_ID) return reader.uint32();
      reader.skip(wireType);
    }
  } catch (cause) {
    throw invalidToken("it cannot be read", cause);
  }
  throw invalidToken("it names no key");
}

function invalidToken(why: string, cause?: unknown): WindhoverError {
  return new WindhoverError("UNAUTHENTICATED", "TOKEN_INVALID", `the token is not valid: ${why}`, { cause });
}
