import type { Access } from "./auth/credentials.ts";
import type { ImageReference } from "./reference.ts";

/** Where an image is pulled from, and for whom. */
export interface ImageSource extends ImageReference {
  readonly access: Access;
}
