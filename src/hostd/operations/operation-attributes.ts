import { type Attributes, attribute } from "../../lib/otel/tracing.ts";
import type { Machine } from "../machines/machine.ts";
import type { ImageRef } from "../machines/version.ts";

/**
 * Says which machine an operation is about, for its span.
 *
 * @param hostName empty: nobody said
 * @param others operations of its kind that were under way when it came
 */
export function operationAttributes({ id, spec }: Machine, hostName = "", others?: number): Attributes {
  const { cpus, memoryMb } = spec.resources;
  const { cpuKind } = spec.config.guest;
  return {
    [attribute.machineId]: id,
    [attribute.org]: spec.org,
    [attribute.app]: spec.app,
    [attribute.region]: spec.region,
    [attribute.imageReference]: reference(spec.imageRef),
    [attribute.size]: `${cpuKind || "shared"}-${cpus}x-${memoryMb}`,
    ...(hostName === "" ? {} : { [attribute.hostName]: hostName }),
    ...(others === undefined ? {} : { [attribute.concurrency]: others }),
  };
}

function reference({ registry, repository, tag, digest }: ImageRef): string {
  return `${registry}/${repository}${tag === "" ? `@${digest}` : `:${tag}`}`;
}
