/** Images for tests: building them, pushing them, and registries to pull them from. */

export { basic } from "./fake-auth.ts";
export { FakeRegistry, type Misbehaviour } from "./fake-registry.ts";
export {
  type BuiltImage,
  buildImage,
  buildIndex,
  type ImageSpec,
  type LayerSpec,
  type Manifest,
  sha256,
} from "./image.ts";
export { ImageCacheProcess } from "./imagecache-process.ts";
export { applyLayers, type ModelFile, PLAIN_DIRECTORY } from "./layer-model.ts";
export { pushImage } from "./push.ts";
export {
  RegistryProcess,
  TEST_HTPASSWD,
  TEST_LOGIN,
} from "./registry-process.ts";
export { type TarEntry, writeTar } from "./tar.ts";
