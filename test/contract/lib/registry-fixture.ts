import { type Credentials, passwordCredentials } from "../../../src/lib/oci/auth/credentials.ts";
import { parseReference } from "../../../src/lib/oci/reference.ts";
import { RegistryClient, type RegistryOptions } from "../../../src/lib/oci/registry.ts";
import { buildImage, FakeRegistry } from "../../support/oci/index.ts";

export const signal = new AbortController().signal;
export const retry = { attempts: 3, firstMs: 1, maxMs: 20 };
export const image = buildImage({ layers: [[{ path: "a" }]], config: { Cmd: ["/a"] } });
export const login = passwordCredentials("kestrel", "p:w");

/** A registry with an image under the name `x`, and clients of it. */
export class RegistryWorld {
  readonly registry: FakeRegistry;
  readonly #clients: RegistryClient[] = [];

  private constructor(registry: FakeRegistry) {
    this.registry = registry;
  }

  static async open(): Promise<RegistryWorld> {
    const registry = await FakeRegistry.start();
    registry.add("x", "latest", image);
    return new RegistryWorld(registry);
  }

  client(options: RegistryOptions = {}): RegistryClient {
    const client = new RegistryClient({ retry, allowPrivate: ["127.0.0.1"], ...options });
    this.#clients.push(client);
    return client;
  }

  /** Resolves with a client of its own unless given one. */
  resolve(options: RegistryOptions | RegistryClient = {}, name = "x", credentials?: Credentials) {
    const client = options instanceof RegistryClient ? options : this.client(options);
    return client.resolve(sourceOf(`${this.registry.host}/${name}`, credentials), signal);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.registry[Symbol.asyncDispose]();
  }
}

/** Where an image comes from, and who asks for it. */
export function sourceOf(reference: string, credentials?: Credentials, org = "acme") {
  return { ...parseReference(reference), access: { org, credentials } };
}
