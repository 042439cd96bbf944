import { readFileSync } from "node:fs";
import { type BuiltImage, buildImage, pushImage } from "../../test/support/oci/index.ts";
import { program } from "../services/binaries.ts";

/** The sample's place in the registry. */
const REPOSITORY = "samples/hello";
const TAG = "latest";
/** Where the sample serves its page. */
export const SAMPLE_PORT = 8080;

/** An image in a registry. */
export interface PushedImage {
  /** As a machine is created from it. */
  readonly reference: string;
  readonly digest: string;
  /** False when the registry had it already. */
  readonly isNew: boolean;
}

/** Builds the sample, which is the same every time, and pushes it unless the registry has it. */
export async function pushSample(registry: string): Promise<PushedImage> {
  const image = buildSample();
  const isNew = (await digestOf(registry)) !== image.digest;
  if (isNew) await pushImage(`http://${registry}`, REPOSITORY, TAG, image);
  return { reference: `${registry}/${REPOSITORY}:${TAG}`, digest: image.digest, isNew };
}

/** Two files: a static busybox, and a script that writes a page about where it runs and serves it. */
function buildSample(): BuiltImage {
  return buildImage({
    layers: [
      [
        { path: "bin", type: "dir" },
        { path: "bin/busybox", mode: 0o755, content: readFileSync(program("busybox")) },
        { path: "srv", type: "dir" },
        { path: "srv/serve", mode: 0o755, content: SERVE },
      ],
    ],
    config: {
      Entrypoint: ["/bin/busybox", "sh", "/srv/serve"],
      WorkingDir: "/srv",
      ExposedPorts: { [`${SAMPLE_PORT}/tcp`]: {} },
    },
  });
}

/** Nothing but the shell's own commands: in an emulated machine every process that is started costs some 20 ms. */
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

async function digestOf(registry: string): Promise<string | null> {
  const answer = await fetch(`http://${registry}/v2/${REPOSITORY}/manifests/${TAG}`, {
    method: "HEAD",
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
    signal: AbortSignal.timeout(10_000),
  });
  return answer.ok ? answer.headers.get("docker-content-digest") : null;
}
