import { parseDuration } from "./duration.ts";
/** Turns one environment variable's text into a value; throws an `Error` whose message completes "NAME ...". */
export interface Reader<T> {
  parse(raw: string): T;
  /** The value when the variable is unset or empty; without one it is required. */
  readonly fallback?: { readonly value: T };
  /** Never shown in full. */
  readonly secret?: boolean;
}

/** The variables a program reads, by name. */
export type Spec = Readonly<Record<string, Reader<unknown>>>;
/** What {@link readEnv} makes of a {@link Spec}. */
export type Config<S extends Spec> = { readonly [K in keyof S]: S[K] extends Reader<infer T> ? T : never };

/** Thrown by {@link readEnv}: everything that is wrong with the environment, at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((p) => `  - ${p}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * Reads the variables in `spec` from `env` once, into a frozen object. An empty variable counts as unset.
 *
 * @throws ConfigError with every problem, when there is any
 */
export function readEnv<S extends Spec>(
  env: Readonly<Record<string, string | undefined>>,
  spec: S,
): Config<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, reader] of Object.entries(spec)) {
    const raw = env[name];
    if (raw === undefined || raw === "") {
      if (reader.fallback) values[name] = reader.fallback.value;
      else problems.push(`${name} must be set`);
      continue;
    }
    try {
      values[name] = reader.parse(raw);
    } catch (err) {
      problems.push(`${name} ${err instanceof Error ? err.message : String(err)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  // Built from the spec's own keys just above; TypeScript cannot follow the loop.
  return Object.freeze(values) as Config<S>;
}

/** The effective configuration as `NAME=value` lines for `--check-config`, secrets and passwords in URLs masked. */
export function showConfig<S extends Spec>(spec: S, config: Config<S>): string {
  return Object.entries(spec)
    .map(
      ([name, reader]) => `${name}=${reader.secret ? mask(config[name]) : hidePassword(show(config[name]))}`,
    )
    .join("\n");
}

/** Any text. Without a default the variable is required. */
export function text(fallback?: string): Reader<string> {
  return reader((raw) => raw, fallback);
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number, fallback?: number): Reader<number> {
  return reader((raw) => {
    const value = /^[+-]?\d+$/.test(raw) ? Number(raw) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}, not "${raw}"`);
    }
    return value;
  }, fallback);
}

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[], fallback?: NoInfer<T>): Reader<T> {
  return reader((raw) => {
    const word = words.find((w) => w === raw);
    if (word === undefined) throw new Error(`must be one of ${words.join(", ")}, not "${raw}"`);
    return word;
  }, fallback);
}

/** `true`/`1`/`yes`/`on` or `false`/`0`/`no`/`off`. */
export function flag(fallback?: boolean): Reader<boolean> {
  return reader((raw) => {
    if (/^(true|1|yes|on)$/i.test(raw)) return true;
    if (/^(false|0|no|off)$/i.test(raw)) return false;
    throw new Error(`must be true or false, not "${raw}"`);
  }, fallback);
}

/** A length of time such as `300ms`, `5s`, `2m`, `1h`, `7d`; its value is in milliseconds. The default is written the same way. */
export function duration(fallback?: string): Reader<number> {
  const parse = (raw: string): number => {
    const ms = parseDuration(raw);
    if (ms === undefined) throw new Error(`must be a duration such as 300ms, 5s or 2m, not "${raw}"`);
    return ms;
  };
  return reader(parse, fallback === undefined ? undefined : parse(fallback));
}

/** Where to listen or connect: `host:port`, `[v6]:port` or `unix:/path`. */
export function address(fallback?: string): Reader<string> {
  return reader((raw) => {
    if (/^unix:\S/.test(raw)) return raw;
    const port = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@]+):(\d{1,5})$/.exec(raw)?.[1];
    if (port === undefined || Number(port) > 65_535) {
      throw new Error(`must be host:port or unix:/path, not "${raw}"`);
    }
    return raw;
  }, fallback);
}

/** Items separated by commas, blanks around them dropped. */
export function list<T = string>(item?: Reader<T>, fallback?: readonly T[]): Reader<readonly T[]> {
  return reader((raw) => {
    const parts = raw
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
    // Without an item reader T is string.
    return parts.map((part) => (item ? item.parse(part) : (part as T)));
  }, fallback);
}

/** The same variable, never shown in full. */
export function secret<T>(of: Reader<T>): Reader<T> {
  return { ...of, secret: true };
}

/** The same variable, and `undefined` when it is unset. */
export function optional<T>(of: Reader<T>): Reader<T | undefined> {
  return { ...of, fallback: { value: undefined } };
}

function reader<T>(parse: (raw: string) => T, fallback: T | undefined): Reader<T> {
  return fallback === undefined ? { parse } : { parse, fallback: { value: fallback } };
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.map(show).join(",");
  return value === undefined ? "" : String(value);
}

function mask(value: unknown): string {
  return show(value) === "" ? "" : "********";
}

function hidePassword(shown: string): string {
  return shown.replace(/(\w+:\/\/[^\s:/@]*:)[^\s@/]+@/g, "$1********@");
}
