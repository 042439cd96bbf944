import { Fault } from "../../../lib/faults/fault.ts";
import { authFile } from "../../../lib/oci/credentials.ts";
import { parseReference } from "../../../lib/oci/reference.ts";
import { RegistryClient } from "../../../lib/oci/registry.ts";
import { within } from "../../../lib/runtime/wait.ts";
import type { ImageRef } from "../../machines/machine.ts";
import type { ImageResolver } from "./create-tools.ts";

const RESOLVE_TIMEOUT_MS = 60_000;

export class RegistryImages implements ImageResolver {
  readonly #registry: RegistryClient;

  /** @param insecure registries that speak plain HTTP, besides those on loopback */
  constructor(authFilePath: string | undefined, insecure: readonly string[]) {
    const credentials = authFilePath === undefined ? {} : { credentials: authFile(authFilePath) };
    this.#registry = new RegistryClient({ ...credentials, insecure });
  }

  async resolve(text: string, signal: AbortSignal): Promise<ImageRef> {
    const reference = parseReference(text, "config.image");
    const resolved = await this.#ask(reference, text, signal);
    const tag = reference.tag ?? (reference.digest === undefined ? "latest" : "");
    return { registry: reference.registry, repository: reference.repository, tag, digest: resolved.digest };
  }

  async #ask(reference: ReturnType<typeof parseReference>, text: string, signal: AbortSignal) {
    try {
      return await within(
        RESOLVE_TIMEOUT_MS,
        "resolving the image",
        (limit) => this.#registry.resolve(reference, limit),
        signal,
      );
    } catch (err) {
      if (signal.aborted || !(err instanceof Fault) || err.reason !== "DEADLINE_EXCEEDED") throw err;
      throw new Fault(
        "UNAVAILABLE",
        "REGISTRY_UNAVAILABLE",
        `the registry ${reference.registry} did not answer in time for ${text}`,
        { reference: text, registry: reference.registry },
        { cause: err },
      );
    }
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
