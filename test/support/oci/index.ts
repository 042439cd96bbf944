/** Images for tests: building them, pushing them, and registries to pull them from. */

export type { SeenRequest } from "./fake-auth.ts";
export { type AuthRule, basic } from "./fake-auth.ts";
export { FakeRegistry, type Misbehaviour, type Script } from "./fake-registry.ts";
export {
  type BuiltImage,
  buildImage,
  buildIndex,
  type Compression,
  type Descriptor,
  type ImageSpec,
  type LayerSpec,
  type Manifest,
  type RunConfig,
  sha256,
} from "./image.ts";
export { ImageCacheProcess } from "./imagecache-process.ts";
export { applyLayers, type ModelFile, PLAIN_DIRECTORY } from "./layer-model.ts";
export { type PushOptions, pushImage } from "./push.ts";
export {
  RegistryProcess,
  type RegistryProcessOptions,
  TEST_HTPASSWD,
  TEST_LOGIN,
} from "./registry-process.ts";
export { type SparseFile, type TarEntry, writeTar } from "./tar.ts";
