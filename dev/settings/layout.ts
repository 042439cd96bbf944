import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The files and folders of a fleet. */
export interface Layout {
  /** Without symbolic links: it identifies the fleet. */
  readonly folder: string;
  /** `folder`, or a short link to it when that is too long for sockets. */
  readonly base: string;
  readonly stateFile: string;
  readonly tokenFile: string;
  readonly keysDir: string;
  /** Of the keys that registry credentials are encrypted with. */
  readonly sealingKeysDir: string;
  /** Token with which services send spans. */
  readonly telemetryTokenFile: string;
  readonly supervisorLog: string;
  /** The folder of a part, e.g. `postgres`. */
  of(part: string): string;
  /** The folder of a host's service. */
  ofHost(number: number, service: string): string;
  log(part: string): string;
}

/** A unix socket's path has at most 107 bytes; this leaves enough below a host's folder. */
const LONGEST_BASE = 44;

/** Makes the folder when it is not there. Postgres' user may pass through it, but not list it. */
export function layoutOf(path: string): Layout {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  const folder = realpathSync(path);
  if (isOwn(folder)) chmodSync(folder, 0o711);
  const base = baseOf(folder);
  return {
    folder,
    base,
    stateFile: join(folder, "fleet.json"),
    tokenFile: join(folder, "token"),
    keysDir: join(folder, "keys"),
    sealingKeysDir: join(folder, "keys/sealing"),
    telemetryTokenFile: join(folder, "keys/telemetry-token"),
    supervisorLog: join(folder, "logs/supervisor.log"),
    of: (part) => join(base, part),
    ofHost: (number, service) => join(base, "hosts", String(number), service),
    log: (part) => join(folder, "logs", `${part}.log`),
  };
}

/** Whether a folder is a fleet's, or may become one: somebody's home or `/tmp` keeps its mode. */
function isOwn(folder: string): boolean {
  if (lstatSync(folder).uid !== process.getuid?.()) return false;
  const names = readdirSync(folder);
  return names.length === 0 || names.some((name) => OWN_FILES.includes(name));
}

const OWN_FILES: readonly string[] = ["fleet.json", "keys", "guest"];

/** Returns a folder's own path, or a short link to it: below it there is room for the paths of sockets. */
export function baseOf(folder: string): string {
  return folder.length <= LONGEST_BASE ? folder : shortLink(folder);
}

/** A short name for a folder, always the same. */
export function fleetId(folder: string): string {
  return createHash("sha256").update(folder).digest("hex").slice(0, 12);
}

function shortLink(folder: string): string {
  const link = join(tmpdir(), `windhover-${fleetId(folder)}`);
  try {
    symlinkSync(folder, link);
  } catch {
    // There already.
  }
  const isOurs = lstatSync(link).uid === process.getuid?.() && readlinkSync(link) === folder;
  if (!isOurs) throw new Error(`${link} is in the way: it should be a link to ${folder}`);
  return link;
}
