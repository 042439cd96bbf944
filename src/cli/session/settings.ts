import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The project's own folder. */
export const ROOT = join(import.meta.dirname, "../../..");

/** Flags that every command takes. */
export interface CommonFlags {
  readonly api?: string;
  readonly tokenFile?: string;
  readonly accessToken?: string;
  readonly debug?: boolean;
  readonly json?: boolean;
}

export interface TokenPlace {
  /** For people: a variable or a file. */
  readonly place: string;
  readonly token: string | undefined;
}

/** An address and where it comes from. */
export interface Address {
  readonly value: string;
  readonly from: string;
}

/** Where the API, the fleet and the token are. */
export interface Settings {
  /** The project's own folder. */
  readonly root: string;
  readonly dir: string;
  /** Where set-up puts the guest's kernel and init. */
  readonly guestDir: string;
  readonly api: Address;
  readonly traces: Address;
  /** URL of the web console. */
  readonly console: Address;
  readonly registry: Address;
  /** URL of the REST API. */
  readonly rest: Address;
  /** Where a token was looked for, in order, up to the place that has one. */
  readonly tokenPlaces: readonly TokenPlace[];
}

/** Default addresses of a local fleet. */
const ENDPOINTS = {
  api: { variable: "WINDHOVER_API", default: "127.0.0.1:7070" },
  traces: { variable: "WINDHOVER_TRACES", default: "127.0.0.1:4318" },
  console: { variable: "WINDHOVER_CONSOLE", default: "127.0.0.1:7090" },
  registry: { variable: "WINDHOVER_REGISTRY", default: "127.0.0.1:5000" },
  rest: { variable: "WINDHOVER_REST_URL", default: "127.0.0.1:7080" },
} as const;
type Endpoint = keyof typeof ENDPOINTS;

/** Finds addresses and token. Flags win over variables, these over `fleet.json` and defaults. */
export function readSettings(flags: CommonFlags, env: NodeJS.ProcessEnv): Settings {
  const dir = env["WINDHOVER_DIR"] ? resolve(env["WINDHOVER_DIR"]) : join(ROOT, ".windhover");
  const written = readFleet(dir);
  const address = (name: Endpoint, flag?: string): Address => {
    const { variable, default: usual } = ENDPOINTS[name];
    if (flag) return { value: bare(flag), from: `--${name}` };
    if (env[variable]) return { value: bare(env[variable]), from: variable };
    const own = written[name];
    if (own) return { value: bare(own), from: join(dir, "fleet.json") };
    return { value: usual, from: "the default" };
  };
  return {
    root: ROOT,
    dir,
    guestDir: env["WINDHOVER_GUEST_DIR"] ? resolve(env["WINDHOVER_GUEST_DIR"]) : join(dir, "guest"),
    api: address("api", flags.api),
    traces: address("traces"),
    console: urlOf(env["WINDHOVER_CONSOLE"], address("console")),
    registry: address("registry"),
    rest: urlOf(env["WINDHOVER_REST_URL"], address("rest")),
    tokenPlaces: findToken(flags, env, dir),
  };
}

export function tokenOf(settings: Settings): string | undefined {
  return settings.tokenPlaces.at(-1)?.token;
}

function findToken(flags: CommonFlags, env: NodeJS.ProcessEnv, dir: string): TokenPlace[] {
  if (flags.accessToken) return [{ place: "--access-token", token: flags.accessToken.trim() || undefined }];
  if (flags.tokenFile) return [fromFile(resolve(flags.tokenFile))];
  const variable = { place: "WINDHOVER_TOKEN", token: env["WINDHOVER_TOKEN"]?.trim() || undefined };
  return variable.token ? [variable] : [variable, fromFile(join(dir, "token"))];
}

function fromFile(path: string): TokenPlace {
  return { place: path, token: readText(path)?.trim() || undefined };
}

/** Reads the addresses in `fleet.json`; none when there is no such file, or not a legible one. */
function readFleet(dir: string): Partial<Record<Endpoint, string>> {
  try {
    const state: unknown = JSON.parse(readText(join(dir, "fleet.json")) ?? "");
    const addresses: unknown = Object(state)["addresses"];
    const entries = Object.entries(Object(addresses)).filter(([, value]) => typeof value === "string");
    // Only strings are left; other names do no harm.
    return Object.fromEntries(entries) as Partial<Record<Endpoint, string>>;
  } catch {
    return {};
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** A variable may name another scheme or a path before all others. */
function urlOf(variable: string | undefined, { value, from }: Address): Address {
  const isUrl = variable !== undefined && /^https?:\/\//.test(variable);
  return { value: isUrl ? variable.replace(/\/+$/, "") : `http://${value}`, from };
}

function bare(address: string): string {
  return address.replace(/^https?:\/\//, "").replace(/\/+$/, "");
}
