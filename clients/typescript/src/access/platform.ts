import type { Caller, CallOptions, UnaryMethod } from "../calls/caller.ts";
import { GuestConfig } from "../gen/windhover/machines/v1/machine.ts";
import {
  type GetCallerResponse,
  type ListRegionsResponse,
  PlatformServiceClient,
  type RegionCapacity,
} from "../gen/windhover/machines/v1/platform.ts";
import { DEFAULTS } from "../machines/timeouts.ts";
import { complete, type Input } from "../values/input.ts";

/** Options of `platform.estimate`. */
export interface Estimate extends CallOptions {
  /** Default: 1 shared CPU, 256 MB. */
  readonly guest?: Input<GuestConfig>;
  /** As for a create. Default: all regions. */
  readonly region?: string;
  /** Counts up to this many in each region. Default 1000. */
  readonly count?: number;
}

/** Regions, room in them, and the caller. */
export class Platform {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Lists the regions, and names that of the api that answers. */
  regions(options: CallOptions = {}): Promise<ListRegionsResponse> {
    return this.#call((c) => c.listRegions, {}, options);
  }

  /** Estimates how many machines of a size could be placed now. Places none. */
  async estimate({
    guest,
    region = "",
    count = 0,
    ...scope
  }: Estimate = {}): Promise<readonly RegionCapacity[]> {
    const message = { guest: guest && complete(GuestConfig, guest), region, count };
    return (await this.#call((c) => c.estimatePlacements, message, scope)).regions;
  }

  /** Returns who calls, by their token. */
  caller(options: CallOptions = {}): Promise<GetCallerResponse> {
    return this.#call((c) => c.getCaller, {}, options);
  }

  #call<Req, Res>(
    method: (client: PlatformServiceClient) => UnaryMethod<Req, Res>,
    message: Req,
    { timeoutMs = DEFAULTS.callMs, signal }: CallOptions,
  ): Promise<Res> {
    return this.#caller.unary(PlatformServiceClient, method, message, { retry: "always", timeoutMs, signal });
  }
}
