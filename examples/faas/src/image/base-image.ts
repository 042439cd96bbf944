import { execFile } from "node:child_process";
import { realpath } from "node:fs/promises";
import { promisify } from "node:util";
import { withLayer } from "./layer.ts";
import { Repository, TYPES } from "./registry.ts";

/** Where Node is in the image. */
export const NODE = "/usr/local/bin/node";
const MAX_BYTES = 512 * 1024 * 1024;

/**
 * Makes the base image of functions in a registry, unless it is there: the Node that runs this
 * program, and the libraries that it loads. Nothing is downloaded. Returns its name and tag.
 */
export async function ensureBaseImage(registry: string): Promise<string> {
  const [name, tag] = ["faas/node", `${process.version.slice(1)}-${process.arch}`];
  const repository = new Repository(registry, name);
  if ((await repository.manifest(tag)) === undefined) await pushBase(repository, tag);
  return `${name}:${tag}`;
}

async function pushBase(repository: Repository, tag: string): Promise<void> {
  const node = await realpath(process.execPath);
  const contents = new Map([[NODE, node], ...(await librariesOf(node)).map((each) => [each, each] as const)]);
  const layer = await withLayer(contents, MAX_BYTES, (archive) => repository.pushFile(archive, TYPES.layer));
  const image = {
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    config: { Entrypoint: [NODE], Env: ["PATH=/usr/local/bin:/usr/bin:/bin"] },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  };
  const config = await repository.pushBytes(Buffer.from(JSON.stringify(image)), TYPES.config);
  await repository.pushManifest(tag, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config,
    layers: [layer],
  });
}

/** Lists the shared libraries of a program, and its loader, as `ldd` finds them. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("ldd", [program]);
  return stdout.split("\n").flatMap((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}
