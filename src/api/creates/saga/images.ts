import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import type { Credentials } from "../../../lib/oci/auth/credentials.ts";
import { type ImageReference, parseReference } from "../../../lib/oci/reference.ts";
import { RegistryClient, type RegistryOptions } from "../../../lib/oci/registry.ts";
import { unreachable } from "../../../lib/oci/request-faults.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import type { NewLogin } from "../../registries/logins.ts";
import type { CredentialSource, FoundImage, ImageResolver } from "./create-tools.ts";

const RESOLVE_TIMEOUT_MS = 60_000;
const CHECK_TIMEOUT_MS = 20_000;

/** Resolves references of users' images with the registries' answers. */
export class RegistryImages implements ImageResolver {
  readonly #registry: RegistryClient;

  constructor(options: RegistryOptions) {
    this.#registry = new RegistryClient(options);
  }

  async resolve(
    text: string,
    org: string,
    credentials: CredentialSource,
    signal: AbortSignal,
  ): Promise<FoundImage> {
    const reference = parseReference(text, "config.image");
    const { registry, repository } = reference;
    const known = await credentials.find(org, registry, repository);
    const ask = (found: Credentials | undefined) => this.#ask(reference, org, found, text, signal);
    const resolved = await ask(known).catch(async (err: unknown) => {
      if (!hasReason(err, "REGISTRY_UNAUTHORIZED")) throw err;
      // Another api may have stored others since they were read.
      credentials.forget(org);
      const present = await credentials.find(org, registry, repository);
      if (JSON.stringify(present) === JSON.stringify(known)) throw err;
      return await ask(present);
    });
    const tag = reference.tag ?? (reference.digest === undefined ? "latest" : "");
    return { image: { registry, repository, tag, digest: resolved.digest }, run: resolved.config.run };
  }

  /** Asks a registry whether it takes credentials; false when it cannot be asked. @throws Fault `REGISTRY_UNAUTHORIZED` */
  async checkLogin({ registry, credentials }: NewLogin, signal: AbortSignal): Promise<boolean> {
    const [host = ""] = registry.split("/");
    using limit = new TimeLimit(CHECK_TIMEOUT_MS, signal);
    try {
      return await this.#registry.checkLogin(host, { org: "", credentials }, limit.signal);
    } catch (err) {
      if (!hasReason(err, "REGISTRY_UNAUTHORIZED")) return false;
      const message = `${host} refuses these credentials; nothing is stored`;
      throw new Fault("PERMISSION_DENIED", "REGISTRY_UNAUTHORIZED", message, { registry: host });
    }
  }

  close(): void {
    this.#registry.close();
  }

  async #ask(
    reference: ImageReference,
    org: string,
    credentials: Credentials | undefined,
    text: string,
    signal: AbortSignal,
  ) {
    // The same as for one that does not answer at all.
    const late = () => unreachable(reference.registry, { reference: text }, undefined);
    using limit = new TimeLimit(RESOLVE_TIMEOUT_MS, signal, late);
    return await this.#registry.resolve({ ...reference, access: { org, credentials } }, limit.signal);
  }
}

/** Returns what is wrong with an image reference; undefined when it is well formed. */
export function checkReference(text: string): string | undefined {
  try {
    parseReference(text, "config.image");
    return undefined;
  } catch (err) {
    if (!(err instanceof Fault)) throw err;
    return err.violations[0]?.description ?? err.message;
  }
}
