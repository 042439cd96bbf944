import { createHash } from "node:crypto";
import { createReadStream, openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";

const TIMEOUT_MS = 120_000;

export const TYPES = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** A blob as a manifest names it. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A manifest of one image. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** A repository of a registry, over the HTTP API of the OCI distribution specification. */
export class Repository {
  readonly #url: string;
  /** `HOST:PORT/NAME`, as machines are created from it. */
  readonly reference: string;

  /** @param registry `host:port`. Registries on this machine are called without TLS. */
  constructor(registry: string, name: string) {
    const scheme = /^(localhost|127\.)/.test(registry) ? "http" : "https";
    this.#url = `${scheme}://${registry}/v2/${name}`;
    this.reference = `${registry}/${name}`;
  }

  /** Returns the manifest of a tag or digest. Undefined: there is none. */
  async manifest(tag: string): Promise<Manifest | undefined> {
    const accept = [TYPES.manifest, "application/vnd.docker.distribution.manifest.v2+json"].join(", ");
    const answer = await this.#send(`/manifests/${tag}`, { headers: { accept } }, [200, 404]);
    return answer.status === 404 ? undefined : ((await answer.json()) as Manifest);
  }

  /** Reads a small blob. */
  async blob(digest: string): Promise<Buffer> {
    const answer = await this.#send(`/blobs/${digest}`, {}, [200]);
    return Buffer.from(await answer.arrayBuffer());
  }

  /** Pushes a file as a blob, unless the repository has it. */
  async pushFile(file: string, mediaType: string): Promise<Descriptor> {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(file)) hash.update(chunk);
    const descriptor = { mediaType, digest: `sha256:${hash.digest("hex")}`, size: (await stat(file)).size };
    await this.#push(descriptor, await openAsBlob(file));
    return descriptor;
  }

  /** Pushes bytes as a blob, unless the repository has them. */
  async pushBytes(bytes: Buffer, mediaType: string): Promise<Descriptor> {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await this.#push(descriptor, new Blob([new Uint8Array(bytes)]));
    return descriptor;
  }

  /** Makes a blob of another repository of the same registry one of this, without moving it. */
  async mount({ digest }: Descriptor, from: string): Promise<void> {
    const query = new URLSearchParams({ mount: digest, from });
    await this.#send(`/blobs/uploads/?${query}`, { method: "POST" }, [201]);
  }

  /** Pushes a manifest and returns its digest. */
  async pushManifest(tag: string, manifest: Manifest): Promise<string> {
    const body = JSON.stringify(manifest);
    const headers = { "content-type": manifest.mediaType };
    await this.#send(`/manifests/${tag}`, { method: "PUT", headers, body }, [201]);
    return digestOf(Buffer.from(body));
  }

  async tags(): Promise<readonly string[]> {
    const answer = await this.#send("/tags/list", {}, [200, 404]);
    if (answer.status === 404) return [];
    const { tags } = (await answer.json()) as { readonly tags: readonly string[] | null };
    return tags ?? [];
  }

  /** Deletes the manifest of a tag. A registry that deletes nothing keeps it. */
  async remove(tag: string): Promise<void> {
    const found = await this.#send(
      `/manifests/${tag}`,
      { method: "HEAD", headers: { accept: TYPES.manifest } },
      [200, 404],
    );
    const digest = found.headers.get("docker-content-digest");
    if (digest !== null) await this.#send(`/manifests/${digest}`, { method: "DELETE" }, [202, 404, 405]);
  }

  async #push({ digest }: Descriptor, body: Blob): Promise<void> {
    const known = await this.#send(`/blobs/${digest}`, { method: "HEAD" }, [200, 404]);
    if (known.status === 200) return;
    const upload = await this.#send("/blobs/uploads/", { method: "POST" }, [202]);
    const target = new URL(upload.headers.get("location") ?? "", this.#url);
    target.searchParams.set("digest", digest);
    const headers = { "content-type": "application/octet-stream" };
    await this.#send(target, { method: "PUT", headers, body }, [201]);
  }

  async #send(path: string | URL, init: RequestInit, expected: readonly number[]): Promise<Response> {
    const url = typeof path === "string" ? `${this.#url}${path}` : path;
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (expected.includes(answer.status)) return answer;
    const text = (await answer.text()).slice(0, 500);
    throw new Error(`${init.method ?? "GET"} ${url} answered ${answer.status}: ${text}`);
  }
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
