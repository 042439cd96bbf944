import type { PublicKey } from "@biscuit-auth/biscuit-wasm";
import { loadBiscuit } from "./biscuit-module.ts";

/** A token whose signatures are right. */
export interface OpenedBiscuit {
  /** Datalog of each block; the first is the issuer's. */
  readonly blocks: readonly string[];
  /** Revocation id of each block, in hex. */
  readonly ids: readonly string[];
}

/** A request to {@link BiscuitCodec}, as it is sent to its thread. */
export type CodecRequest =
  | { readonly kind: "mint"; readonly seed: Uint8Array; readonly keyId: number; readonly code: string }
  | { readonly kind: "attenuate"; readonly token: string; readonly key: Uint8Array; readonly code: string }
  | { readonly kind: "open"; readonly token: string; readonly key: Uint8Array };

/** What the thread answers to each kind of request. */
export interface CodecAnswers {
  readonly mint: string;
  readonly attenuate: string;
  readonly open: OpenedBiscuit;
}

export interface CodecFailure {
  readonly message: string;
  /** Whether the library may be in a bad state. */
  readonly isBroken: boolean;
}

/** Makes and opens Biscuits with the library. */
export class BiscuitCodec {
  readonly #library: Awaited<ReturnType<typeof loadBiscuit>>;

  private constructor(library: Awaited<ReturnType<typeof loadBiscuit>>) {
    this.#library = library;
  }

  static async load(): Promise<BiscuitCodec> {
    return new BiscuitCodec(await loadBiscuit());
  }

  /** @throws whatever the library throws, which is not always an Error */
  run(request: CodecRequest): CodecAnswers[keyof CodecAnswers] {
    if (request.kind === "mint") return this.#mint(request.seed, request.keyId, request.code);
    if (request.kind === "open") return this.#open(request.token, request.key);
    return this.#attenuate(request.token, request.key, request.code);
  }

  #mint(seed: Uint8Array, keyId: number, code: string): string {
    const { Biscuit, PrivateKey, SignatureAlgorithm } = this.#library;
    // Freed by `build`.
    const builder = Biscuit.builder();
    builder.setRootKeyId(keyId);
    builder.addCode(code);
    using key = PrivateKey.fromBytes(seed, SignatureAlgorithm.Ed25519);
    using token = builder.build(key);
    return token.toBase64();
  }

  #attenuate(token: string, key: Uint8Array, code: string): string {
    const { Biscuit } = this.#library;
    using root = this.#publicKey(key);
    using parent = Biscuit.fromBase64(token, root);
    using block = Biscuit.block_builder();
    block.addCode(code);
    using child = parent.appendBlock(block);
    return child.toBase64();
  }

  #open(token: string, key: Uint8Array): OpenedBiscuit {
    using root = this.#publicKey(key);
    using biscuit = this.#library.Biscuit.fromBase64(token, root);
    const blocks = Array.from({ length: biscuit.countBlocks() }, (_, i) => biscuit.getBlockSource(i));
    return { blocks, ids: biscuit.getRevocationIdentifiers().map(String) };
  }

  #publicKey(bytes: Uint8Array): PublicKey {
    return this.#library.PublicKey.fromBytes(bytes, this.#library.SignatureAlgorithm.Ed25519);
  }
}
