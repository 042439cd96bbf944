import { attribute, withSpan } from "../../../lib/otel/tracing.ts";
import type { ImageRef, MachineConfig } from "../../machines/machine.ts";
import { checkImage } from "./check-image.ts";
import type { CreateTools } from "./create-tools.ts";

/**
 * Resolves the image of a configuration with the credentials of its organisation.
 *
 * @throws Fault of the registry, or when the image cannot be run with the configuration
 */
export function resolveImage(
  { images, credentials }: Pick<CreateTools, "images" | "credentials">,
  config: MachineConfig,
  org: string,
  signal: AbortSignal,
): Promise<ImageRef> {
  const reference = config.image;
  return withSpan("api.resolve_image", { [attribute.imageReference]: reference }, async (span) => {
    const { image, run } = await images.resolve(reference, org, credentials, signal);
    span.setAttribute(attribute.imageDigest, image.digest);
    const fault = checkImage(run, config, { reference, digest: image.digest });
    if (fault) throw fault;
    return image;
  });
}
