import type { MachineAnswer } from "../backend/answer.ts";
import type { FlatHeaders } from "../exchange.ts";
import { headerOf, headersOf } from "../headers/fields.ts";
import { readSeconds } from "./seconds.ts";

/** Says where a request must be sent again: `fly-replay` of an answer. */
export interface ReplayOrder {
  readonly app: string | undefined;
  /** Only this machine. */
  readonly instance: string | undefined;
  readonly preferInstance: string | undefined;
  /** Best first. Empty: any. */
  readonly regions: readonly string[];
  /** Whether any other region will do when none of {@link regions} can take it. */
  readonly isAnyRegion: boolean;
  /** Any machine but the one that has answered. */
  readonly isElsewhere: boolean;
  /** For the program that gets the request. */
  readonly state: string | undefined;
  /** How long to wait for a machine. Undefined: as usual. */
  readonly timeoutMs: number | undefined;
  /** Who gets the request when it cannot be sent as ordered. */
  readonly fallback: "force_self" | "prefer_self" | undefined;
  readonly transform: ReplayTransform | undefined;
  readonly cache: ReplayCacheOrder | undefined;
}

/** How the request is changed on the way. */
export interface ReplayTransform {
  readonly path: string | undefined;
  /** In lower case. */
  readonly deleteHeaders: readonly string[];
  readonly setHeaders: readonly (readonly [name: string, value: string])[];
}

/** Asks to send later requests the same way at once. */
export interface ReplayCacheOrder {
  /** Host name of the requests. Empty: that of this one. */
  readonly hostname: string;
  /** Path that the requests begin with. */
  readonly prefix: string;
  readonly ttlMs: number;
  /** Ends what is known of the prefix instead. */
  readonly isInvalidation: boolean;
  readonly allowBypass: boolean;
}

/** Of the JSON form, besides `transform`, `cache` and `allow_bypass`. */
const FIELDS: readonly string[] = [
  ...["region", "instance", "prefer_instance", "app", "state", "elsewhere", "timeout", "fallback"],
];
const JSON_TYPE = "application/vnd.fly.replay+json";
const MAX_JSON_BYTES = 64 * 1024;
const MAX_STATE_BYTES = 8 * 1024;
const MAX_HEADERS = 32;
const MAX_REGIONS = 64;
/** As long as a service may let requests wait. */
const MAX_TIMEOUT_MS = 600_000;
/** Shortest time that routes are kept for. */
const MIN_TTL_MS = 10_000;
const MAX_TTL_MS = 24 * 3_600_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these would end a header.
const UNSAFE_VALUE = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/;
const ID = /^[\w-]{1,64}$/;
/** Ends at semicolons that are in no quotes. */
const FIELD = /(?:"[^"]*"|[^;])+/g;
const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/i;

/** Reads the order of an answer. Undefined: it has none. @throws Error that says what is wrong with it */
export async function readOrder(answer: MachineAnswer): Promise<ReplayOrder | undefined> {
  const { headers } = answer.head;
  // Several are one list, as of every header.
  const orders = headersOf(headers, "fly-replay");
  if (orders.length > 0) return fromHeader(orders.join(";"), headers);
  const type = headerOf(headers, "content-type");
  if (type?.split(";")[0]?.trim().toLowerCase() !== JSON_TYPE) return undefined;
  return fromJson(JSON.parse(await readText(answer)));
}

/** Reads `region="ams,fra";state=x` and the headers for the cache beside it. */
export function fromHeader(header: string, headers: FlatHeaders = []): ReplayOrder {
  const fields: Record<string, string> = Object.create(null);
  for (const part of header.match(FIELD) ?? []) {
    const at = part.indexOf("=");
    const key = (at < 0 ? part : part.slice(0, at)).trim().toLowerCase();
    if (key !== "") fields[key] = at < 0 ? "" : withoutQuotes(part.slice(at + 1).trim());
  }
  const cache = cacheOf(
    headerOf(headers, "fly-replay-cache"),
    headerOf(headers, "fly-replay-cache-ttl-secs"),
    headerOf(headers, "fly-replay-cache-allow-bypass"),
  );
  return orderOf(fields, undefined, cache);
}

/** Reads the form of a body. */
export function fromJson(json: unknown): ReplayOrder {
  if (!isRecord(json)) throw new Error("the body must be a JSON object");
  const { transform, cache } = json;
  const fields = Object.fromEntries(
    FIELDS.filter((key) => json[key] !== undefined).map((key) => [key, textOf(key, json[key])]),
  );
  const asked = isRecord(cache) ? cache : undefined;
  const order = asked && {
    ...cacheFields(
      textOf("cache.prefix", asked["prefix"] ?? "/"),
      textOf("cache.ttl", asked["ttl"] ?? asked["ttl_seconds"] ?? ""),
    ),
    isInvalidation: asked["invalidate"] === true,
    allowBypass: json["allow_bypass"] === true || asked["allow_bypass"] === true,
  };
  return orderOf(fields, isRecord(transform) ? transformOf(transform) : undefined, order);
}

/** Returns a text, a number, a boolean, or a list of texts as a header would have it. */
function textOf(key: string, value: unknown): string {
  const isList = Array.isArray(value) && value.every((each) => typeof each === "string");
  if (isList) return value.join(",");
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return String(value);
  throw new Error(`${key} must be a text`);
}

function orderOf(
  fields: Readonly<Record<string, string | undefined>>,
  transform: ReplayTransform | undefined,
  cache: ReplayCacheOrder | undefined,
): ReplayOrder {
  const text = (key: string) => fields[key] || undefined;
  const state = text("state");
  if (state !== undefined && (state.length > MAX_STATE_BYTES || UNSAFE_VALUE.test(state)))
    throw new Error(`state must be printable and at most ${MAX_STATE_BYTES} bytes`);
  const fallback = text("fallback");
  if (fallback !== undefined && fallback !== "force_self" && fallback !== "prefer_self")
    throw new Error("fallback must be force_self or prefer_self");
  const named = (key: string) => {
    const value = text(key);
    // They go into headers of requests.
    if (value !== undefined && !ID.test(value)) throw new Error(`${key} must be letters, digits, - and _`);
    return value;
  };
  const order: ReplayOrder = {
    app: named("app"),
    instance: named("instance"),
    preferInstance: named("prefer_instance"),
    ...regionsOf(text("region") ?? ""),
    isElsewhere: fields["elsewhere"] !== undefined && !["false", "0"].includes(fields["elsewhere"]),
    state,
    timeoutMs: fields["timeout"] === undefined ? undefined : timeoutOf(fields["timeout"]),
    fallback,
    transform,
    cache,
  };
  const hasPlace = order.app ?? order.instance ?? order.preferInstance ?? fields["region"];
  if (
    hasPlace === undefined &&
    !order.isElsewhere &&
    cache?.isInvalidation !== true &&
    transform === undefined
  )
    throw new Error("it needs one of region, instance, prefer_instance, app and elsewhere");
  return order;
}

/** Whole milliseconds, as timers take them. */
function timeoutOf(text: string): number {
  return Math.min(MAX_TIMEOUT_MS, Math.ceil(readSeconds(text)));
}

function withoutQuotes(value: string): string {
  return /^".*"$/.test(value) ? value.slice(1, -1) : value;
}

/** `any` leaves the choice to the proxy, after what comes before it. */
function regionsOf(list: string): Pick<ReplayOrder, "regions" | "isAnyRegion"> {
  const named = list
    .split(",")
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== "");
  const any = named.indexOf("any");
  const regions = any < 0 ? named : named.slice(0, any);
  if (!regions.every((each) => ID.test(each))) throw new Error("region must be names of regions");
  return { regions: regions.slice(0, MAX_REGIONS), isAnyRegion: any >= 0 };
}

function cacheOf(
  prefix: string | undefined,
  ttl: string | undefined,
  bypass: string | undefined,
): ReplayCacheOrder | undefined {
  if (prefix === undefined) return undefined;
  if (prefix === "invalidate")
    return { hostname: "", prefix: "/", ttlMs: 0, isInvalidation: true, allowBypass: false };
  return {
    ...cacheFields(prefix, ttl ?? ""),
    isInvalidation: false,
    allowBypass: bypass === "yes" || bypass === "true",
  };
}

/** A prefix may name its host first: `example.com/path/*`. */
function cacheFields(prefix: string, ttl: string) {
  const from = Math.max(0, prefix.indexOf("/"));
  const path = prefix.slice(from).replace(/\*$/, "");
  if (!path.startsWith("/") || path.length > 1_024)
    throw new Error("the prefix of the cache must begin with /");
  const ttlMs = ttl === "" ? MIN_TTL_MS : readSeconds(ttl);
  const hostname = prefix.slice(0, from).toLowerCase();
  return { hostname, prefix: path, ttlMs: Math.min(MAX_TTL_MS, Math.max(MIN_TTL_MS, ttlMs)) };
}

function transformOf(json: Readonly<Record<string, unknown>>): ReplayTransform {
  const path = json["path"];
  if (path !== undefined && !(typeof path === "string" && /^\/[\x21-\x7e]{0,8191}$/.test(path)))
    throw new Error("transform.path must be a path that is escaped");
  const deleted = list(json["delete_headers"]).map((each) => textOf("transform.delete_headers", each));
  const set = list(json["set_headers"]).map((each) => {
    const { name, value } = isRecord(each) ? each : {};
    if (typeof name !== "string" || typeof value !== "string" || !NAME.test(name) || UNSAFE_VALUE.test(value))
      throw new Error("transform.set_headers must be a list of {name, value}");
    return [name, value] as const;
  });
  return { path, deleteHeaders: deleted.map((each) => each.toLowerCase()), setHeaders: set };
}

function list(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > MAX_HEADERS)
    throw new Error(`headers must be a list of at most ${MAX_HEADERS}`);
  return value;
}

async function readText({ body }: MachineAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_JSON_BYTES) throw new Error(`the body is larger than ${MAX_JSON_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
