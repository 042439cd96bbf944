import { randomUUID } from "node:crypto";
import type { Caller, CallOptions, UnaryMethod } from "../calls/caller.ts";
import type { RetryPolicy } from "../calls/retry.ts";
import { type App, AppsServiceClient, type Hostname } from "../gen/windhover/machines/v1/apps.ts";
import { DEFAULTS, within } from "../machines/timeouts.ts";

/** Options of `apps.create`. */
export interface CreateAppOptions extends CallOptions {
  /** Default: that of the token. */
  readonly org?: string;
  /** Name of a private network. Kept, and not acted on yet. */
  readonly network?: string;
  /** Makes calls with the same one create one app. Default: a new one. */
  readonly requestId?: string;
}

/** Apps: named groups of machines of one organisation. */
export class Apps {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Creates an app. Fails with `APP_NAME_TAKEN`. */
  async create(name: string, options: CreateAppOptions = {}): Promise<App> {
    const { org = "", network = "", requestId, ...scope } = options;
    const message = { name, org, network, requestId: requestId || randomUUID() };
    return appOf(await this.#call((c) => c.createApp, message, "always", scope));
  }

  /** Returns an app. Fails with `APP_NOT_FOUND`. */
  async get(name: string, options: CallOptions = {}): Promise<App> {
    return appOf(await this.#call((c) => c.getApp, { name }, "always", options));
  }

  /** Lists the apps of the organisation by name. */
  async *list(options: CallOptions = {}): AsyncGenerator<App, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.#call((c) => c.listApps, { pageSize: 0, pageToken }, "always", options);
      yield* page.apps;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** Deletes an app; with `force` its machines too. Returns how many were destroyed. */
  async delete(name: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<number> {
    const { force = false, ...scope } = options;
    const bounds = within(DEFAULTS.stopMs, scope);
    const response = await this.#call((c) => c.deleteApp, { name, force }, "ifNotDone", bounds);
    return response.machinesDestroyed;
  }

  /** Makes proxies send requests for a host name to an app. Fails with `HOSTNAME_TAKEN`. */
  async addHostname(app: string, hostname: string, options: CallOptions = {}): Promise<Hostname> {
    const message = { app, hostname };
    const response = await this.#call((c) => c.addHostname, message, "always", options);
    if (response.hostname === undefined) throw new TypeError("the answer has no host name");
    return response.hostname;
  }

  /** Takes a host name from an app. Fails with `HOSTNAME_NOT_FOUND`. */
  async removeHostname(app: string, hostname: string, options: CallOptions = {}): Promise<void> {
    await this.#call((c) => c.removeHostname, { app, hostname }, "ifNotDone", options);
  }

  /** Lists the host names of an app, those of the fleet's domains first. */
  async hostnames(app: string, options: CallOptions = {}): Promise<Hostname[]> {
    const { hostnames } = await this.#call((c) => c.listHostnames, { app }, "always", options);
    return hostnames;
  }

  #call<Req, Res>(
    method: (client: AppsServiceClient) => UnaryMethod<Req, Res>,
    message: Req,
    retry: RetryPolicy,
    { timeoutMs = DEFAULTS.callMs, signal }: CallOptions,
  ): Promise<Res> {
    return this.#caller.unary(AppsServiceClient, method, message, { retry, timeoutMs, signal });
  }
}

function appOf({ app }: { readonly app: App | undefined }): App {
  if (app === undefined) throw new TypeError("the answer has no app");
  return app;
}
