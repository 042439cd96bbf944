import * as z from "zod";
import { parseDuration } from "./duration.ts";

/**
 * The environment variables of a program by name, each a schema for its text. `.prefault()` gives a default as it would
 * be written, `.describe()` the sentence of the reference. Metadata: `kind` says what it takes, `defaultText` describes a
 * default that depends on the machine, `secret` keeps the value out of what is shown.
 */
export type Variables = Readonly<Record<string, z.ZodType>>;
/** The values of {@link Variables}. */
export type Values<V extends Variables> = { readonly [K in keyof V]: z.output<V[K]> };
/** Where variables are read from. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What the reference says about one variable. */
export interface VariableInfo {
  readonly name: string;
  readonly kind: string;
  /** As it would be written; undefined without one. */
  readonly default: string | undefined;
  /** Describes a default that depends on the machine or on other variables. */
  readonly defaultText: string | undefined;
  readonly isRequired: boolean;
  readonly isSecret: boolean;
  readonly description: string;
}

/** Everything that is wrong with the environment, at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((p) => `  - ${p}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * Reads variables once, into a frozen object. An empty variable counts as unset.
 *
 * @param ignore is called with each problem instead of an error; what is wrong counts as unset then
 * @throws ConfigError with every problem
 */
export function readEnv<V extends Variables>(
  env: Env,
  variables: V,
  ignore?: (problem: string) => void,
): Values<V> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(variables)) {
    const raw = env[name] || undefined;
    const result = schema.safeParse(raw);
    if (result.success) values[name] = result.data;
    else if (raw === undefined) problems.push(`${name} must be set`);
    else problems.push(...result.error.issues.map(({ message }) => `${name} ${message}`));
    if (!result.success && ignore) values[name] = schema.safeParse(undefined).data;
  }
  if (ignore) for (const problem of problems.splice(0)) ignore(problem);
  if (problems.length > 0) throw new ConfigError(problems);
  // Made of the very keys of `variables`.
  return Object.freeze(values) as Values<V>;
}

/**
 * What is in effect, as `NAME=value` lines. Secrets and passwords in URLs are masked.
 *
 * @param computed values in effect for variables that are unset and whose default depends on the machine
 */
export function showConfig(variables: Variables, env: Env, computed: Env = {}): string {
  return describeVariables(variables)
    .map(({ name, isSecret, ...info }) => {
      const value = env[name] || computed[name] || info.default || "";
      return `${name}=${isSecret ? value && "********" : hidePassword(value)}`;
    })
    .join("\n");
}

/** What the reference says about each variable, from its schema. */
export function describeVariables(variables: Variables): readonly VariableInfo[] {
  return Object.entries(variables).map(([name, schema]) => {
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    return {
      name,
      kind: String(json["kind"] ?? "text"),
      default: json.default === undefined ? undefined : String(json.default),
      defaultText: json["defaultText"] === undefined ? undefined : String(json["defaultText"]),
      isRequired: !schema.safeParse(undefined).success,
      isSecret: json["secret"] === true,
      description: json.description ?? "",
    };
  });
}

/** Any text. */
export function text() {
  return z.string();
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number) {
  const error = (issue: { readonly input?: unknown }) =>
    `must be a whole number from ${min} to ${max}, not "${issue.input}"`;
  const toNumber = (raw: unknown) => (typeof raw === "string" && /^[+-]?\d+$/.test(raw) ? Number(raw) : raw);
  return z
    .preprocess(toNumber, z.int({ error }).min(min, { error }).max(max, { error }))
    .meta({ kind: `${min} to ${max}` });
}

/** One of a few words. */
export function oneOf<const T extends readonly string[]>(words: T) {
  const list = words.join(", ");
  const error = (issue: { readonly input?: unknown }) => `must be one of ${list}, not "${issue.input}"`;
  return z.enum(words, { error }).meta({ kind: `one of ${list}` });
}

/** `true`/`1`/`yes`/`on` or `false`/`0`/`no`/`off`. */
export function flag() {
  const truthy = ["true", "1", "yes", "on"];
  const falsy = ["false", "0", "no", "off"];
  const error = (issue: { readonly input?: unknown }) => `must be true or false, not "${issue.input}"`;
  return z.stringbool({ truthy, falsy, error }).meta({ kind: "true or false" });
}

/** A length of time such as `300ms`, `5s`, `2m`, `1h` or `7d`, in milliseconds. Bounds are written the same way. */
export function duration(min = "0s", max = "365d") {
  const leastMs = parseDuration(min) ?? 0;
  const mostMs = parseDuration(max) ?? 0;
  return parsed((raw) => {
    const ms = parseDuration(raw);
    if (ms === undefined) throw new Error(`must be a duration such as 300ms, 5s or 2m, not "${raw}"`);
    if (ms < leastMs || ms > mostMs) throw new Error(`must be from ${min} to ${max}, not "${raw}"`);
    return ms;
  }).meta({ kind: min === "0s" && max === "365d" ? "duration" : `duration, ${min} to ${max}` });
}

/** Where to listen or connect: `host:port`, `[v6]:port` or `unix:/path`. */
export function address() {
  return parsed(parseAddress).meta({ kind: "host:port or unix:/path" });
}

/** Returns an address as it is. @throws Error for {@link parsed} when it is none */
export function parseAddress(raw: string): string {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@]+):(\d{1,5})$/.exec(raw)?.[1];
  if (!/^unix:\S/.test(raw) && (port === undefined || Number(port) > 65_535))
    throw new Error(`must be host:port or unix:/path, not "${raw}"`);
  return raw;
}

/** Items separated by commas, blanks around them dropped. */
export function list<T extends z.ZodType<unknown, string>>(item: T) {
  const split = (raw: string) =>
    raw
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  return z
    .string()
    .transform(split)
    .pipe(z.array(item))
    .meta({ kind: `list: ${item.meta()?.["kind"] ?? "text"}, ...` });
}

/** A text with a parser of its own: an error's message completes "NAME ...". */
export function parsed<T>(parse: (raw: string) => T) {
  return z.string().transform((raw, ctx): T => {
    try {
      return parse(raw);
    } catch (err) {
      ctx.addIssue({ code: "custom", message: err instanceof Error ? err.message : String(err) });
      return z.NEVER;
    }
  });
}

function hidePassword(shown: string): string {
  return shown.replace(/(\w+:\/\/[^\s:/@]*:)[^\s@/]+@/g, "$1********@");
}
