import type { Credentials } from "../../../lib/oci/auth/credentials.ts";
import type { CallLimits } from "../../requests/caller.ts";
import type { HostAddress } from "../host/host-address.ts";
import type { ImageRef, Machine, MachineConfig } from "../machine.ts";
import type { Target } from "../machines.ts";

/** The part of hostd that updates machines. */
export interface HostUpdates {
  updateMachine(host: HostAddress, target: Target & UpdateOrder, limits: CallLimits): Promise<Machine>;
}

/** A valid update. */
export interface UpdateRequest {
  readonly config: MachineConfig;
  /** `instance_id` that the machine must have. Empty: any. */
  readonly currentVersion: string;
  /** Start a machine that does not run. */
  readonly launch: boolean;
  /** Leave a machine that runs stopped. */
  readonly skipLaunch: boolean;
  readonly leaseNonce: string;
  /** Return to the old version when the new one does not become ready. */
  readonly rollback: boolean;
  /** By which the caller may repeat the update. Empty: it cannot be repeated. */
  readonly requestId: string;
  /** Hash of what is asked for. */
  readonly requestHash: string;
  /** Undefined: the host's default. */
  readonly readyTimeoutMs: number | undefined;
}

export interface UpdateOrder extends UpdateRequest {
  readonly image: ImageRef;
  /** Credentials of the image's registry. Undefined: none. */
  readonly credentials: Credentials | undefined;
}
