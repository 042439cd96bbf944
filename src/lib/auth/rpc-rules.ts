import { Fault } from "../faults/fault.ts";
import { type Check, type Facts, failingCheck, without } from "./checks.ts";
import { type Claims, requireScope, type Scope } from "./claims.ts";
import type { Revocations } from "./revocations.ts";

/** Kind of a call's object; also the name of its fact for the checks of attenuated tokens. */
export type ObjectKind = (typeof OBJECT_KINDS)[number];

// biome-ignore format: a word list reads better dense
const OBJECT_KINDS = [
  "machine", "app", "org", "token", "host", "registry", "image", "create", "reservation",
] as const;

/** Something that a call is about. */
export interface RuleObject {
  readonly kind: ObjectKind;
  readonly id: string;
}

/** Returns the app of a machine; undefined when there is no such machine. It never changes. */
export type AppLookup = (machineId: string, org: string) => Promise<string | undefined>;

/** The rule of an RPC: the scopes that it needs, its action, and its object. */
export interface RpcRule {
  /** Stable name, e.g. `machines:start`. */
  readonly action: string;
  /** Any of these is enough. */
  readonly scopes: readonly [Scope, ...Scope[]];
  /** Whether every call is in the audit log, besides refused ones. */
  readonly isAudited: boolean;
  /** Whether a suspended organisation is refused. */
  readonly needsGoodStanding: boolean;
  /** Whether it lasts as long as its caller likes, so that it ends with the right to make it. */
  readonly isSession?: boolean;
  /** Whether it is about no object of anybody, so that restrictions to objects say nothing of it. */
  readonly isAboutNoObject?: boolean;
  readonly kind?: ObjectKind;
  /** Path of the field that names the object, in the request. */
  readonly object?: string;
  /** Returns the objects of a call about several. A restricted token must allow each of them. */
  readonly objects?: (request: unknown) => readonly RuleObject[];
  /** The same in the response, for objects that the call makes. */
  readonly made?: string;
  /** Field of the request that names the organisation, for calls of services and operators. */
  readonly org?: string;
}

/** Rules by the full path of the method. */
export type RpcRules = ReadonlyMap<string, RpcRule>;

/** The part of a token that its restrictions are checked with. */
export type Restricted = Pick<Claims, "org" | "scopes" | "checks">;

type Methods = Readonly<Record<string, { readonly path: string }>>;

/** Names the rule of every method of a service; one that is missing does not compile. */
export function rulesOf<S extends Methods>(service: S, rules: Readonly<Record<keyof S, RpcRule>>): RpcRules {
  return new Map(Object.entries(service).map(([name, { path }]) => [path, rules[name as keyof S]]));
}

export function joinRules(...all: readonly RpcRules[]): RpcRules {
  return new Map(all.flatMap((rules) => [...rules]));
}

/**
 * Decides by a call's metadata whether it may continue.
 *
 * @throws Fault `SCOPE_MISSING`, `ORG_BANNED`
 */
export function admit(claims: Claims, rule: RpcRule, revocations: Revocations): void {
  requireScope({ claims }, ...rule.scopes);
  if (rule.needsGoodStanding) requireGoodStanding(claims.org, revocations);
}

/** Checks the restrictions of a call's token anew. @throws Fault `TOKEN_RESTRICTED` */
export type Recheck = (now: number) => void;

/**
 * Decides by a call's request whether it may go on. Does nothing for most calls. Only a token that is restricted to apps and names a machine has
 * the machine's app looked up: then the answer is a promise.
 *
 * @returns what may refuse the call later: undefined without restrictions by time
 * @throws Fault `TOKEN_RESTRICTED`, `ORG_BANNED`
 */
export function admitRequest(
  claims: Claims,
  rule: RpcRule,
  request: unknown,
  revocations: Revocations,
  now: number,
  appOf?: AppLookup,
): Promise<Recheck | undefined> | Recheck | undefined {
  if (claims.org === "" && rule.needsGoodStanding && rule.org !== undefined) {
    requireGoodStanding(fieldOf(request, rule.org), revocations);
  }
  if (claims.checks.length === 0) return undefined;
  const restrict = (apps?: ReadonlyMap<string, string | undefined>): Recheck | undefined => {
    const check = restrictionsOf(claims, rule, request, apps);
    check(now);
    return mentions(claims.checks, "time") ? check : undefined;
  };
  const machines = appOf && mentions(claims.checks, "app") ? machinesOf(rule, request) : [];
  if (!appOf || machines.length === 0) return restrict();
  const found = machines.map(async (id) => [id, await appOf(id, claims.org)] as const);
  return Promise.all(found).then((apps) => restrict(new Map(apps)));
}

/**
 * Checks the restrictions of an attenuated token.
 *
 * @throws Fault `TOKEN_RESTRICTED`
 */
export function checkRestrictions(
  claims: Restricted,
  rule: RpcRule,
  request: unknown,
  now: number,
  apps: ReadonlyMap<string, string | undefined> = NO_APPS,
): void {
  if (claims.checks.length > 0) restrictionsOf(claims, rule, request, apps)(now);
}

/** Returns the restrictions of a call. It keeps what the call is about, and not its request. */
function restrictionsOf(
  claims: Restricted,
  rule: RpcRule,
  request: unknown,
  apps: ReadonlyMap<string, string | undefined> = NO_APPS,
): Recheck {
  const common = { action: [rule.action, ...rule.scopes], org: orgOf(claims, rule, request) };
  const checks = rule.isAboutNoObject ? claims.checks.map((check) => without(check, OBJECTS)) : claims.checks;
  const objects = objectsOf(rule, request);
  const all = (objects.length > 0 ? objects : [undefined]).map((object) => factsOf(object, apps));
  return (now) => {
    for (const facts of all) {
      const failing = failingCheck(checks, { ...common, ...facts, time: [now] });
      if (failing) throw restricted(failing.source, rule);
    }
  };
}

/** All but the organisation, which every call has. */
const OBJECTS: ReadonlySet<string> = new Set(OBJECT_KINDS.filter((kind) => kind !== "org"));
const NO_APPS: ReadonlyMap<string, string> = new Map();

function factsOf(object: RuleObject | undefined, apps: ReadonlyMap<string, string | undefined>): Facts {
  if (!object) return {};
  const app = object.kind === "machine" ? apps.get(object.id) : undefined;
  return { [object.kind]: [object.id], ...(app === undefined ? {} : { app: [app] }) };
}

function objectsOf(rule: RpcRule, request: unknown): readonly RuleObject[] {
  if (rule.objects) return rule.objects(request);
  const id = rule.object === undefined ? "" : fieldOf(request, rule.object);
  return rule.kind === undefined || rule.kind === "org" || id === "" ? [] : [{ kind: rule.kind, id }];
}

function machinesOf(rule: RpcRule, request: unknown): readonly string[] {
  return objectsOf(rule, request).flatMap(({ kind, id }) => (kind === "machine" ? [id] : []));
}

function mentions(checks: readonly Check[], fact: "app" | "time"): boolean {
  return checks.some(({ alternatives }) =>
    alternatives.some(
      ({ constants, bindings }) =>
        constants.some(([name]) => name === fact) || bindings.some(([, name]) => name === fact),
    ),
  );
}

/**
 * Returns whose objects a call is about: of the organisation that it names, or else of the caller's.
 * An operator's call that names none is about all.
 */
function orgOf(
  claims: Restricted,
  { kind, object, org, scopes }: RpcRule,
  request: unknown,
): readonly string[] {
  const field = kind === "org" ? object : org;
  const named = field === undefined ? "" : fieldOf(request, field);
  if (named !== "") return [named];
  const isOperators = claims.scopes.includes("admin") && (field !== undefined || !scopes.some(isUsers));
  return isOperators ? [] : [claims.org];
}

function isUsers(scope: Scope): boolean {
  return scope === "machines:read" || scope === "machines:write";
}

/** Returns why a caller who was admitted would no longer be, apart from its token. */
export function lapseOf(claims: Claims, rule: RpcRule, revocations: Revocations): Fault | undefined {
  return rule.needsGoodStanding && revocations.isSuspended(claims.org) ? suspended(claims.org) : undefined;
}

/** @throws Fault `ORG_BANNED` */
export function requireGoodStanding(org: string, revocations: Pick<Revocations, "isSuspended">): void {
  if (revocations.isSuspended(org)) throw suspended(org);
}

/** Returns a field of a message as text; empty when it has none. */
export function fieldOf(message: unknown, path: string): string {
  let value = message;
  for (const name of path.split(".")) {
    value =
      typeof value === "object" && value !== null && Object.hasOwn(value, name)
        ? Reflect.get(value, name)
        : "";
  }
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function suspended(org: string): Fault {
  const message = `organisation ${org} is banned: it may read, stop and destroy what it has, and nothing else`;
  return new Fault("PERMISSION_DENIED", "ORG_BANNED", message, { org });
}

/** Longer checks are cut: they would not fit into an answer. */
const MAX_CHECK = 256;

function restricted(source: string, { action }: RpcRule): Fault {
  const check = source.length <= MAX_CHECK ? source : `${source.slice(0, MAX_CHECK)}...`;
  const message = `the token was restricted by whoever passed it on: ${check} does not hold for ${action}`;
  return new Fault("PERMISSION_DENIED", "TOKEN_RESTRICTED", message, { check, action });
}
