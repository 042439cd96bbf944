import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readlinkSync, realpathSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where everything of a fleet lies. */
export interface Layout {
  /** The folder itself, without symbolic links: what identifies the fleet. */
  readonly folder: string;
  /** The name that goes into the configuration of the parts: `folder`, or a short link to it when that is long. */
  readonly base: string;
  /** What the fleet is doing, for whoever looks: see `state.ts`. */
  readonly stateFile: string;
  readonly tokenFile: string;
  readonly signingKeyFile: string;
  readonly publicKeyFile: string;
  readonly supervisorLog: string;
  /** A part's own folder, e.g. `postgres`. */
  of(part: string): string;
  /** A host's folder for one of its services. */
  ofHost(number: number, service: string): string;
  log(part: string): string;
}

/** A unix socket's path may have 107 bytes; this leaves enough for the names below a host's folder. */
const LONGEST_BASE = 44;

/** Makes the folder when it is not there. Others may pass through it, as QEMU's own users must, but not look around. */
export function layoutOf(path: string): Layout {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  const folder = realpathSync(path);
  if (lstatSync(folder).uid === process.getuid?.()) chmodSync(folder, 0o711);
  const base = folder.length <= LONGEST_BASE ? folder : shortLink(folder);
  return {
    folder,
    base,
    stateFile: join(folder, "fleet.json"),
    tokenFile: join(folder, "token"),
    signingKeyFile: join(folder, "keys/signing.pem"),
    publicKeyFile: join(folder, "keys/public.pem"),
    supervisorLog: join(folder, "logs/supervisor.log"),
    of: (part) => join(base, part),
    ofHost: (number, service) => join(base, "hosts", String(number), service),
    log: (part) => join(folder, "logs", `${part}.log`),
  };
}

/** A short name that is the same for every folder, everywhere and always. */
export function fleetId(folder: string): string {
  return createHash("sha256").update(folder).digest("hex").slice(0, 12);
}

function shortLink(folder: string): string {
  const link = join(tmpdir(), `windhover-${fleetId(folder)}`);
  try {
    symlinkSync(folder, link);
  } catch {
    // There already: ours, or somebody else's doing.
  }
  const isOurs = lstatSync(link).uid === process.getuid?.() && readlinkSync(link) === folder;
  if (!isOurs) throw new Error(`${link} is in the way: it should be a link to ${folder}`);
  return link;
}
