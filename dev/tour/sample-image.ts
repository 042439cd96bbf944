import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "../../tools/lib/programs.ts";
import { run } from "../../tools/lib/run.ts";

const REPOSITORY = "samples/hello";
const TAG = "latest";
const TIMEOUT_MS = 60_000;
/** Where the sample serves its page. */
export const SAMPLE_PORT = 8080;

const TYPES = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

export interface PushedImage {
  /** As a machine is created from it. */
  readonly reference: string;
  readonly digest: string;
  /** False when the registry had it already. */
  readonly isNew: boolean;
}

/** Builds the sample image, the same bytes every time, and pushes it unless the registry has it. */
export async function pushSample(registry: string): Promise<PushedImage> {
  const layer = await buildLayer();
  const config = Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      config: {
        Entrypoint: ["/bin/busybox", "sh", "/srv/serve"],
        WorkingDir: "/srv",
        ExposedPorts: { [`${SAMPLE_PORT}/tcp`]: {} },
      },
      rootfs: { type: "layers", diff_ids: [sha256(layer)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: { mediaType: TYPES.config, digest: sha256(config), size: config.length },
      layers: [{ mediaType: TYPES.layer, digest: sha256(layer), size: layer.length }],
    }),
  );
  const digest = sha256(manifest);
  const isNew = (await digestOf(registry)) !== digest;
  if (isNew) {
    for (const blob of [layer, config]) await pushBlob(registry, blob);
    await put(`http://${registry}/v2/${REPOSITORY}/manifests/${TAG}`, TYPES.manifest, manifest);
  }
  return { reference: `${registry}/${REPOSITORY}:${TAG}`, digest, isNew };
}

/** Packs a static busybox, and a script that serves a page about its machine. */
async function buildLayer(): Promise<Buffer> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "windhover-sample-"));
  for (const each of ["bin", "srv"]) mkdirSync(join(folder.path, each));
  copyFileSync(program("busybox"), join(folder.path, "bin/busybox"));
  writeFileSync(join(folder.path, "srv/serve"), SERVE);
  const archive = join(folder.path, "layer.tar");
  const reproducible = [
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--mode=0755",
    "--numeric-owner",
  ];
  await run("tar", [
    "--create",
    "--format=ustar",
    ...reproducible,
    "-f",
    archive,
    "-C",
    folder.path,
    "bin",
    "srv",
  ]);
  return readFileSync(archive);
}

/** Built-in commands only: in an emulated machine every process costs some 20 ms. */
const SERVE = `read -r host < /proc/sys/kernel/hostname
read -r kernel < /proc/sys/kernel/osrelease
read -r up rest < /proc/uptime
read -r name memory unit < /proc/meminfo
echo "<!doctype html><title>Hello</title>
<h1>Hello from a micro-VM</h1>
<p>This page is served by busybox in machine $host.
<p>It has a Linux kernel of its own, $kernel, and $((memory / 1024)) MB of memory.
<p>The machine was $up s old when the page was written." > index.html
echo "serving on port ${SAMPLE_PORT}"
exec /bin/busybox httpd -f -p ${SAMPLE_PORT} -h /srv
`;

async function pushBlob(registry: string, body: Buffer): Promise<void> {
  const uploads = `http://${registry}/v2/${REPOSITORY}/blobs/uploads/`;
  const upload = await fetch(uploads, { method: "POST", signal: AbortSignal.timeout(TIMEOUT_MS) });
  await expectStatus(upload, 202);
  const location = new URL(upload.headers.get("location") ?? "", uploads);
  location.searchParams.set("digest", sha256(body));
  await put(location, "application/octet-stream", body);
}

async function put(url: string | URL, type: string, body: Buffer): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const headers = { "content-type": type };
  await expectStatus(await fetch(url, { method: "PUT", headers, body: new Uint8Array(body), signal }), 201);
}

async function expectStatus(answer: Response, expected: number): Promise<void> {
  const text = await answer.text();
  if (answer.status !== expected)
    throw new Error(`${answer.url} answered ${answer.status}: ${text.slice(0, 500)}`);
}

async function digestOf(registry: string): Promise<string | null> {
  const answer = await fetch(`http://${registry}/v2/${REPOSITORY}/manifests/${TAG}`, {
    method: "HEAD",
    headers: { accept: TYPES.manifest },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return answer.ok ? answer.headers.get("docker-content-digest") : null;
}

function sha256(body: Buffer): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}
