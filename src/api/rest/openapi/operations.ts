import type { RouteDocs, Rpc } from "../requests/route.ts";

/** Parts of an operation in the OpenAPI document that its route does not have. */
interface Operation {
  /** Names it in clients that are generated. */
  readonly id: string;
  /** Names the schema of its body. */
  readonly body?: string;
  /** Status codes of its errors, besides those that follow from its route. */
  readonly errors?: readonly number[];
}

const MACHINES = "/v1/apps/:app/machines";
const MACHINE = `${MACHINES}/:id`;
const METADATA = `${MACHINE}/metadata`;
const HOSTNAMES = "/v1/apps/:app/hostnames";

/** Operations by route. Their names are those of Fly's document where it has them. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /v1/apps": { id: "Apps_list", errors: [404] },
  "POST /v1/apps": { id: "Apps_create", body: "CreateAppRequest", errors: [404, 422] },
  "GET /v1/apps/:app": { id: "Apps_show" },
  "DELETE /v1/apps/:app": { id: "Apps_delete", body: "DeleteAppRequest", errors: [412] },
  [`GET ${HOSTNAMES}`]: { id: "Apps_list_hostnames" },
  [`POST ${HOSTNAMES}`]: { id: "Apps_add_hostname", body: "AddHostnameRequest", errors: [422] },
  [`DELETE ${HOSTNAMES}/:hostname`]: { id: "Apps_remove_hostname" },
  [`GET ${MACHINES}`]: { id: "Machines_list" },
  [`POST ${MACHINES}`]: { id: "Machines_create", body: "CreateMachineRequest", errors: [408, 409, 412, 501] },
  [`GET ${MACHINE}`]: { id: "Machines_show" },
  [`POST ${MACHINE}`]: { id: "Machines_update", body: "UpdateMachineRequest", errors: [408, 501] },
  [`DELETE ${MACHINE}`]: { id: "Machines_delete", body: "DestroyMachineRequest" },
  [`POST ${MACHINE}/start`]: { id: "Machines_start", errors: [408] },
  [`POST ${MACHINE}/stop`]: { id: "Machines_stop", body: "StopRequest" },
  [`POST ${MACHINE}/restart`]: { id: "Machines_restart", body: "RestartRequest" },
  [`POST ${MACHINE}/suspend`]: { id: "Machines_suspend", errors: [501] },
  [`POST ${MACHINE}/signal`]: { id: "Machines_signal", body: "SignalRequest" },
  [`POST ${MACHINE}/cordon`]: { id: "Machines_cordon" },
  [`POST ${MACHINE}/uncordon`]: { id: "Machines_uncordon" },
  [`GET ${MACHINE}/wait`]: { id: "Machines_wait", errors: [408, 412] },
  [`GET ${MACHINE}/events`]: { id: "Machines_list_events" },
  [`GET ${MACHINE}/versions`]: { id: "Machines_list_versions" },
  [`GET ${MACHINE}/ps`]: { id: "Machines_list_processes", errors: [412] },
  [`POST ${MACHINE}/exec`]: { id: "Machines_exec", body: "MachineExecRequest", errors: [408] },
  [`GET ${MACHINE}/exec/stream`]: { id: "Machines_exec_stream", errors: [426] },
  [`GET ${MACHINE}/logs`]: { id: "Machines_logs" },
  [`GET ${MACHINE}/watch`]: { id: "Machines_watch" },
  "GET /v1/apps/:app/watch": { id: "Apps_watch" },
  "GET /v1/orgs/:org/watch": { id: "Orgs_watch" },
  [`GET ${METADATA}`]: { id: "Machines_show_metadata" },
  [`PUT ${METADATA}`]: { id: "Machines_put_metadata", body: "MetadataRequest", errors: [412] },
  [`PATCH ${METADATA}`]: { id: "Machines_patch_metadata", body: "MetadataRequest", errors: [412] },
  [`GET ${METADATA}/:key`]: { id: "Machines_show_metadata_key" },
  [`POST ${METADATA}/:key`]: { id: "Machines_update_metadata", body: "MetadataKeyRequest", errors: [412] },
  [`DELETE ${METADATA}/:key`]: { id: "Machines_delete_metadata", errors: [412] },
  [`GET ${MACHINE}/lease`]: { id: "Machines_show_lease" },
  [`POST ${MACHINE}/lease`]: { id: "Machines_create_lease", body: "CreateLeaseRequest" },
  [`DELETE ${MACHINE}/lease`]: { id: "Machines_release_lease" },
  "GET /v1/orgs/:org/machines": { id: "Machines_org_list" },
  "GET /v1/platform/regions": { id: "Platform_regions" },
  "POST /v1/platform/placements": {
    id: "Platform_placements",
    body: "PlacementsRequest",
    errors: [404, 501],
  },
  "GET /v1/tokens/current": { id: "CurrentToken_show" },
  "POST /v1/acquire": {
    id: "Machines_acquire",
    body: "AcquireRequest",
    errors: [404, 408, 409, 412, 501],
  },
};

const WHY: Readonly<Record<number, string>> = {
  400: "A part of the request is wrong. All of them are named.",
  401: "There is no token, or none that is valid.",
  403: "The token, or the quota of its organisation, does not allow it.",
  404: "What the path names is not there, or another organisation's.",
  408: "It took too long.",
  409: "A lease is held, a name or a version is another one, or there is no room.",
  412: "The state or the version of the machine does not allow it.",
  413: "The body is too large.",
  415: "The body is compressed.",
  422: "The name is taken.",
  426: "It needs a WebSocket.",
  429: "Too many calls: `Retry-After` says when to come back.",
  500: "Something went wrong inside.",
  501: "The request asks for what is not built yet.",
  503: "A host, or the database, does not answer.",
};

type Documented = RouteDocs & { readonly rpc?: Rpc<never, unknown> };

/** Returns the name of a route's operation, and that of the schema of its body. */
export function operationOf({ method, path }: Documented): Operation {
  const known = OPERATIONS[`${method} ${path}`];
  if (known) return known;
  // Not built yet.
  const words = path.match(/[a-z_]+/g)?.filter((word) => word !== "v") ?? [];
  return { id: [method.toLowerCase(), ...words].join("_") };
}

/** Returns the errors of a route: descriptions by status code. */
export function errorsOf(route: Documented): Readonly<Record<string, string>> {
  const { method, path, body, rpc } = route;
  const codes = new Set([401, 429, 500, 503]);
  if (rpc) for (const code of [400, 403]) codes.add(code);
  if (rpc && /:(?:app|org)\b/.test(path)) codes.add(404);
  if (takesLease(rpc)) for (const code of [409, 412]) codes.add(code);
  if (body && method !== "GET") for (const code of [413, 415]) codes.add(code);
  for (const code of operationOf(route).errors ?? []) codes.add(code);
  return Object.fromEntries([...codes].sort().map((code) => [String(code), WHY[code] ?? ""]));
}

/** Returns the fields of the request of an RPC, with their defaults. */
export function fieldsOf(rpc: Rpc<never, unknown> | undefined): object {
  return rpc ? rpc.requestDeserialize(Buffer.alloc(0)) : {};
}

export function takesLease(rpc: Rpc<never, unknown> | undefined): boolean {
  const fields = fieldsOf(rpc);
  return "leaseNonce" in fields || "nonce" in fields;
}
