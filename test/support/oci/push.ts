import type { BuiltImage } from "./image.ts";

/** Credentials for a push. */
export interface PushOptions {
  /** `Authorization` header to send with everything, e.g. `Basic ...`. */
  readonly authorization?: string;
}

/**
 * Pushes an image, or an index with all its images, to a registry.
 *
 * @param registryUrl e.g. `http://127.0.0.1:5000`
 * @param name repository, e.g. `samples/hello`
 * @param tag what to call it, e.g. `latest`
 * @throws when the registry does not take it, with the registry's own words
 */
export async function pushImage(
  registryUrl: string,
  name: string,
  tag: string,
  image: BuiltImage,
  options: PushOptions = {},
): Promise<void> {
  for (const child of image.children) await pushImage(registryUrl, name, child.digest, child, options);
  const base = `${registryUrl}/v2/${name}`;
  for (const [digest, body] of image.blobs) {
    const start = await send(`${base}/blobs/uploads/`, { method: "POST" }, 202, options);
    const location = new URL(start.headers.get("location") ?? "", registryUrl);
    location.searchParams.set("digest", digest);
    const headers = { "content-type": "application/octet-stream" };
    await send(location.href, { method: "PUT", body: new Uint8Array(body), headers }, 201, options);
  }
  const put = {
    method: "PUT",
    body: new Uint8Array(image.manifest),
    headers: { "content-type": image.mediaType },
  };
  await send(`${base}/manifests/${tag}`, put, 201, options);
}

async function send(
  url: string,
  init: RequestInit,
  expected: number,
  options: PushOptions,
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (options.authorization) headers.set("authorization", options.authorization);
  const response = await fetch(url, { ...init, headers, signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  if (response.status !== expected) {
    throw new Error(`${init.method} ${url}: ${response.status} ${text.slice(0, 500)}`);
  }
  return response;
}
