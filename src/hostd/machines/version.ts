import type { MachineConfig } from "./machine-config.ts";

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

export interface ImageRef {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** The part of an OCI image configuration that a start uses. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Each `NAME=value`. */
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
  /** Directories that must exist. Absent in machines that were prepared before there was this field. */
  readonly volumes?: readonly string[];
}

/** An image on this host's disk, pinned for a machine. */
export interface LocalImage {
  readonly rootfs: string;
  readonly config: ImageConfig;
  /** Size of the root file system. Absent in machines that were prepared before there was this field. */
  readonly sizeBytes?: number;
}

/** By which a call may be repeated. */
export interface UpdateKey {
  readonly id: string;
  /** Of what is asked for. */
  readonly hash: string;
}

/** An update that was made, and the version that it made. */
export interface MadeUpdate extends UpdateKey {
  readonly instanceId: string;
}

/** A version of a machine's configuration, and its image. */
export interface Version {
  /** ULID. */
  readonly instanceId: string;
  readonly config: MachineConfig;
  readonly imageRef: ImageRef;
  readonly resources: Resources;
  /** Set by prepare. */
  readonly image?: LocalImage;
}

/** The part of a machine that is not its status: its names, and its version. */
export interface MachineSpec extends Version {
  readonly name: string;
  readonly app: string;
  readonly org: string;
  readonly region: string;
  readonly createTraceId: string;
  readonly createdAtMs: number;
  /** The version before, while an update may still need it. */
  readonly previous?: Version;
  /** The last updates that may be repeated, newest first. */
  readonly updates?: readonly MadeUpdate[];
}

/** Returns the digests of the images that a machine uses: during an update there may be two. */
export function digestsOf({ imageRef, previous }: MachineSpec): readonly string[] {
  return [...new Set([imageRef.digest, ...(previous ? [previous.imageRef.digest] : [])])];
}
