import { randomBytes } from "node:crypto";
import { type Dirent, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { processTree } from "../../tools/lib/processes.ts";
import type { TestFleet } from "./fleet.ts";

/** A place where a secret was found: `env in logs/api.log (base64)`. */
export type Finding = string;

const OTHERS_READ = 0o004;
const OTHERS_PASS = 0o001;
const GONE_IS_FINE = { throwIfNoEntry: false } as const;

/** Strings that stand for secrets, and the search for them in all forms in which they could be written. */
export class Canaries {
  readonly #forms: { readonly what: string; readonly bytes: Buffer }[] = [];

  /** Makes a secret. @param what names it in findings */
  secret(what: string): string {
    const secret = `canary-${what}-${randomBytes(12).toString("hex")}`;
    this.add(what, secret);
    return secret;
  }

  /** Adds a secret that exists, e.g. a token. */
  add(what: string, secret: string): void {
    const bytes = Buffer.from(secret);
    const add = (form: string, text: string) =>
      this.#forms.push({ what: form === "" ? what : `${what} (${form})`, bytes: Buffer.from(text) });
    add("", secret);
    add("hex", bytes.toString("hex"));
    if (encodeURIComponent(secret) !== secret) add("URL", encodeURIComponent(secret));
    // Base64 of a longer text holds one of three forms, whatever surrounds the secret.
    for (const before of [0, 1, 2]) {
      const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
      const skipped = before === 0 ? 0 : before + 1;
      add("base64", encoded.slice(skipped, encoded.length - (encoded.length % 4) - 4));
    }
  }

  /** Returns the secrets that are in a text or a file's content. */
  findIn(content: string | Buffer): readonly string[] {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    return [...new Set(this.#forms.filter((form) => bytes.includes(form.bytes)).map(({ what }) => what))];
  }

  /** Searches a text; the findings name its place. */
  search(place: string, content: string | Buffer): readonly Finding[] {
    return this.findIn(content).map((what) => `${what} in ${place}`);
  }
}

/**
 * Searches all that a fleet has left and shows: files, traces, metrics, command lines.
 *
 * @param mayHold whether a file, named from the fleet's folder, is where secrets are kept; even then
 *   other users must not be able to read it
 */
export async function searchFleet(
  fleet: TestFleet,
  canaries: Canaries,
  mayHold: (file: string) => boolean,
): Promise<readonly Finding[]> {
  return [
    ...searchFolder(fleet.folder, canaries, mayHold),
    ...searchCommandLines(fleet, canaries),
    ...(await searchPages(fleet, canaries)),
  ];
}

function searchFolder(folder: string, canaries: Canaries, mayHold: (file: string) => boolean): Finding[] {
  return filesOf(folder).flatMap(({ path, isReadable }) => {
    const name = relative(folder, path);
    if (mayHold(name) && !isReadable) return [];
    const place = isReadable ? `${name}, which others can read` : name;
    return [...canaries.search(place, contentOf(path)), ...canaries.search(`the name ${name}`, name)];
  });
}

interface FoundFile {
  readonly path: string;
  /** By users who are neither owner nor in the group, and may pass through the folder above. */
  readonly isReadable: boolean;
}

function filesOf(folder: string, isPassable = true): FoundFile[] {
  const canPass = isPassable && ((statSync(folder, GONE_IS_FINE)?.mode ?? 0) & OTHERS_PASS) !== 0;
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(path, canPass);
    if (!entry.isFile()) return [];
    const { mode } = lstatSync(path, GONE_IS_FINE) ?? { mode: 0 };
    return [{ path, isReadable: canPass && (mode & OTHERS_READ) !== 0 }];
  });
}

/** Lists a folder; one that has gone meanwhile is empty. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (err) {
    if (err instanceof Error && "code" in err && err.code === "ENOENT") return [];
    throw err;
  }
}

/** Returns nothing for a file that has gone meanwhile. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Everybody on a host can read the command lines of its processes. */
function searchCommandLines(fleet: TestFleet, canaries: Canaries): Finding[] {
  return fleet.parts.flatMap(({ name, process }) => {
    if (process === undefined) return [];
    return processTree(process).flatMap(({ pid }) =>
      canaries.search(`the command line of ${name}`, contentOf(`/proc/${pid}/cmdline`)),
    );
  });
}

async function searchPages(fleet: TestFleet, canaries: Canaries): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, address } of metricsPages(fleet)) {
    const page = await fetch(`http://${address}/metrics`);
    findings.push(...canaries.search(`the metrics of ${name}`, await page.text()));
  }
  const options = { headers: { authorization: `Bearer ${fleet.token}` } };
  const list = await (await fetch(`${fleet.traces}/api/traces?limit=100`, options)).json();
  // The receiver answers with summaries, each with the id of its trace.
  const { traces } = list as { readonly traces: readonly { readonly trace_id: string }[] };
  if (traces.length === 0) throw new Error("there are no traces to search");
  for (const { trace_id: traceId } of traces) {
    const trace = await fetch(`${fleet.traces}/api/traces/${traceId}`, options);
    findings.push(...canaries.search("a trace", await trace.text()));
  }
  return findings;
}

function metricsPages(fleet: TestFleet) {
  return [
    ...fleet.regions.flatMap(({ apiMetrics, proxyMetrics, schedulers }) => [
      { name: "api", address: apiMetrics },
      { name: "proxy", address: proxyMetrics },
      ...schedulers.map(({ metrics }) => ({ name: "scheduler", address: metrics })),
    ]),
    ...fleet.hosts.flatMap(({ hostdMetrics, imagecacheMetrics }) => [
      { name: "hostd", address: hostdMetrics },
      { name: "imagecache", address: imagecacheMetrics },
    ]),
  ];
}
