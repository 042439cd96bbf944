import { privateAddress } from "../../lib/addresses/private-address.ts";
import type { ImageRef } from "./version.ts";

/** Variables that describe the machine to its program. */
export interface PlatformFacts {
  readonly app: string;
  readonly region: string;
  readonly instanceId?: string;
  readonly imageRef: ImageRef;
  readonly resources: { readonly memoryMb: number };
  readonly config: { readonly metadata: Readonly<Record<string, string>> };
}

/** Entries of the metadata with the process group, the newer name first. */
const PROCESS_GROUP = ["fly_process_group", "process_group"] as const;
/** Name that flyctl uses for machines without a process group. */
const DEFAULT_PROCESS_GROUP = "app";

/**
 * Makes the variables that Fly documents for every machine. They replace an image's, and the
 * configuration's replace them: flyctl sets `PRIMARY_REGION` there, for one.
 */
export function platformEnvironment(id: string, facts: PlatformFacts): Record<string, string> {
  const { app, region, instanceId = "", imageRef, resources, config } = facts;
  return {
    FLY_APP_NAME: app,
    FLY_MACHINE_ID: id,
    FLY_ALLOC_ID: id,
    FLY_REGION: region,
    FLY_IMAGE_REF: referenceOf(imageRef),
    FLY_MACHINE_VERSION: instanceId,
    FLY_PRIVATE_IP: privateAddress(id),
    // Machines have no address of their own outside of their host yet.
    FLY_PUBLIC_IP: "",
    FLY_PROCESS_GROUP:
      PROCESS_GROUP.map((name) => config.metadata[name]).find(Boolean) ?? DEFAULT_PROCESS_GROUP,
    FLY_VM_MEMORY_MB: String(resources.memoryMb),
    PRIMARY_REGION: region,
  };
}

function referenceOf({ registry, repository, tag, digest }: ImageRef): string {
  return `${registry}/${repository}${tag === "" ? `@${digest}` : `:${tag}`}`;
}
