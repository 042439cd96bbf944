import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { NODE } from "./base-image.ts";
import { withLayer } from "./layer.ts";
import { digestOf, type Manifest, Repository, TYPES } from "./registry.ts";

/** Port that the runner listens on in the machine. */
export const RUNNER_PORT = 8080;
const RUNNER = join(import.meta.dirname, "../../runner/runner.mjs");
const MAX_BYTES = 64 * 1024 * 1024;
const NAME = /^[a-z][a-z0-9-]{0,39}$/;

/** The source of a function. */
export interface Source {
  readonly name: string;
  /** All of it goes into the image. */
  readonly folder: string;
  /** File in the folder whose default export is the function. */
  readonly entry: string;
}

/** Finds the source from the path of a file, or of a folder with a `function.js`. */
export async function sourceOf(path: string, name?: string): Promise<Source> {
  const file = (await stat(path)).isDirectory() ? join(path, "function.js") : resolve(path);
  await stat(file);
  const folder = resolve(dirname(file));
  const source = { name: name ?? basename(folder), folder, entry: basename(file) };
  if (!NAME.test(source.name)) {
    throw new Error(
      `--name: "${source.name}" is no name of a function; one is a letter, and up to 39 of a-z, 0-9 and -`,
    );
  }
  return source;
}

/** An image that is built, but not pushed under a name yet. */
export interface BuiltImage {
  readonly digest: string;
  /** Names it by a tag. Returns the reference by digest, which never means something else later. */
  push(tag: string): Promise<string>;
}

/** Builds the image of a function: the layers of the base, and one with the function and the runner. */
export async function buildFunctionImage(
  registry: string,
  base: string,
  source: Source,
): Promise<BuiltImage> {
  const [baseName = "", baseTag = "latest"] = base.split(":");
  const from = new Repository(registry, baseName);
  const manifest = await from.manifest(baseTag);
  if (manifest?.layers === undefined)
    throw new Error(`--base: the registry has no image ${base} of one platform`);
  const to = repositoryOf(registry, source.name);
  for (const layer of manifest.layers) await to.mount(layer, baseName);
  const contents = new Map([
    ["/function", source.folder],
    ["/runner/runner.mjs", RUNNER],
  ]);
  const layer = await withLayer(contents, MAX_BYTES, (archive) => to.pushFile(archive, TYPES.layer));
  const image = extended(
    JSON.parse((await from.blob(manifest.config.digest)).toString()),
    layer.digest,
    source,
  );
  const config = await to.pushBytes(Buffer.from(JSON.stringify(image)), TYPES.config);
  const whole: Manifest = {
    ...manifest,
    config: { ...config, mediaType: manifest.config.mediaType },
    layers: [...manifest.layers, layer],
  };
  return {
    digest: digestOf(Buffer.from(JSON.stringify(whole))),
    push: async (tag) => `${to.reference}@${await to.pushManifest(tag, whole)}`,
  };
}

/** Returns the repository of a function's images. */
export function repositoryOf(registry: string, name: string): Repository {
  return new Repository(registry, `faas/functions/${name}`);
}

/** The parts of an image's configuration that are changed. */
interface ImageConfig {
  readonly config?: { readonly Env?: readonly string[] };
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
}

function extended(base: ImageConfig, layer: string, { entry }: Source): object {
  return {
    ...base,
    // It describes the base's layers alone.
    history: undefined,
    config: {
      ...base.config,
      Env: [...(base.config?.Env ?? []), `FAAS_ENTRY=/function/${entry}`, `FAAS_PORT=${RUNNER_PORT}`],
      Entrypoint: [NODE, "/runner/runner.mjs"],
      Cmd: [],
      WorkingDir: "/function",
      ExposedPorts: { [`${RUNNER_PORT}/tcp`]: {} },
    },
    rootfs: { ...base.rootfs, diff_ids: [...base.rootfs.diff_ids, layer] },
  };
}
