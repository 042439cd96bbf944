import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** A file of the page, in memory: what a request names never reaches the file system. */
interface StaticFile {
  readonly type: string;
  readonly plain: Buffer;
  /** Compressed, by content coding; none when that saves nothing. */
  readonly coded: ReadonlyMap<string, Buffer>;
  readonly etag: string;
  /** Whether its name changes with its content. */
  readonly isHashed: boolean;
}

/** An answer with a file. */
export interface StaticAnswer {
  readonly status: 200 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".map": "application/json; charset=utf-8",
};
/** What esbuild puts before the extension. */
const HASHED = /-[A-Z0-9]{8}\.[a-z0-9]+$/;
/** A year. */
const IMMUTABLE = "public, max-age=31536000, immutable";
/** Browsers ask for the icon again with every change of the URL. */
const ICON = "public, max-age=86400";
const LEAST_COMPRESSED_BYTES = 1_024;
/** Codings that the build writes beside a file, by extension, the best first. */
const CODINGS = [
  ["br", ".br"],
  ["gzip", ".gz"],
] as const;

/** The built page. */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;

  /** @param folder read once; empty or missing: there is no page */
  constructor(folder: string) {
    this.#files = new Map(namesIn(folder).map((name) => [`/${name}`, fileOf(join(folder, name), name)]));
  }

  get hasPage(): boolean {
    return this.#files.has("/index.html");
  }

  /** Answers a path; undefined when there is no such file. */
  answer(path: string, accepted: string, knownEtag: string | undefined): StaticAnswer | undefined {
    const file = this.#files.get(path === "/" ? "/index.html" : path);
    if (!file) return undefined;
    const codings = acceptedCodings(accepted);
    const coding = [...file.coded.keys()].find((each) => codings.has(each));
    const headers = {
      "content-type": file.type,
      "cache-control": file.isHashed ? IMMUTABLE : file.type === "image/svg+xml" ? ICON : "no-cache",
      etag: file.etag,
      vary: "accept-encoding",
    };
    if (knownEtag === file.etag) return { status: 304, headers, body: undefined };
    const body = coding === undefined ? undefined : file.coded.get(coding);
    if (coding === undefined || !body) return { status: 200, headers, body: file.plain };
    return { status: 200, headers: { ...headers, "content-encoding": coding }, body };
  }
}

/** Reads the names in `Accept-Encoding`, those with a weight of nought left out. */
function acceptedCodings(header: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const each of header.toLowerCase().split(",")) {
    const [name = "", ...parameters] = each.split(";").map((part) => part.trim());
    if (!parameters.some((part) => /^q=0(?:\.0*)?$/.test(part))) found.add(name);
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && TYPES[extname(entry.name)] !== undefined)
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  } catch {
    return [];
  }
}

function fileOf(path: string, name: string): StaticFile {
  const plain = readFileSync(path);
  return {
    type: TYPES[extname(name)] ?? "application/octet-stream",
    plain,
    coded: codedOf(path, plain),
    etag: `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`,
    isHashed: HASHED.test(name),
  };
}

/** Reads what the build has compressed, or compresses it. */
function codedOf(path: string, plain: Buffer): ReadonlyMap<string, Buffer> {
  if (plain.length < LEAST_COMPRESSED_BYTES || /\.(?:png|woff2|ico)$/.test(path)) return new Map();
  const coded = CODINGS.map(([coding, extension]) => {
    try {
      return [coding, readFileSync(`${path}${extension}`)] as const;
    } catch {
      return [coding, compress(coding, plain)] as const;
    }
  });
  return new Map(coded.filter(([, bytes]) => bytes.length < plain.length));
}

/** Fast: a page that was built without compression is compressed at every start. */
function compress(coding: "br" | "gzip", plain: Buffer): Buffer {
  if (coding === "gzip") return gzipSync(plain, { level: 6 });
  return brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
}
