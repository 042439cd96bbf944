import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type AuthRule, answerToken, challenge, type SeenRequest } from "./fake-auth.ts";
import type { BuiltImage } from "./image.ts";

/** How to answer wrongly. Counts are of body bytes of the answer. */
export interface Misbehaviour {
  /** Answers with this status instead; `body` and `headers` go with it. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Redirects (307) there; `{path}` becomes the path of the request. */
  readonly redirect?: string;
  /** Breaks the connection after so many bytes. */
  readonly dropAfter?: number;
  /** Ends the answer after so many bytes as if that were all of it. */
  readonly endAfter?: number;
  /** Sends so many bytes and then nothing more, holding the connection open. */
  readonly stallAfter?: number;
  /** Sends these bytes as the content. */
  readonly replace?: Buffer;
  /** Answers a range request with 200 and everything. */
  readonly ignoreRange?: boolean;
  /** Waits before answering. */
  readonly delayMs?: number;
  /** Waits for this before answering. */
  readonly after?: Promise<void>;
  /** Sends at about this many bytes a second. */
  readonly bytesPerSecond?: number;
}

/** Decides, per request, how to misbehave; nothing returned: properly. */
export type Script = (request: SeenRequest) => Misbehaviour | undefined;

/**
 * A registry inside the test, holding images in memory, that can misbehave in every way a script says.
 * Serves manifests, blobs with ranges, and tokens; nothing can be pushed to it: see {@link FakeRegistry.add}.
 *
 * @example
 * await using registry = await FakeRegistry.start();
 * registry.add("x", "latest", image);
 * registry.script = (r) => (r.kind === "blob" && r.earlier === 0 ? { dropAfter: 1000 } : undefined);
 */
export class FakeRegistry implements AsyncDisposable {
  /** Consulted for every request. */
  script: Script = () => undefined;
  /** Who may pull; absent: everyone. */
  auth: AuthRule | undefined;
  /** Everything received, oldest first. */
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, { body: Buffer; mediaType: string }>();
  readonly #served = new Map<string, number>();
  #answering = 0;
  #port = 0;

  private constructor() {
    this.#server = createServer((req, res) => void this.#handle(req, res));
  }

  /** Starts one on a free loopback port. */
  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    // Listening on TCP, so the address is never a string and never null.
    registry.#port = (registry.#server.address() as AddressInfo).port;
    return registry;
  }

  /** `127.0.0.1:port`, as it stands in image references. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** `http://127.0.0.1:port`. */
  get url(): string {
    return `http://${this.host}`;
  }

  /** Stores an image under a tag; its digest works as well. */
  add(name: string, tag: string, image: BuiltImage): void {
    for (const child of image.children) this.add(name, child.digest, child);
    for (const [digest, body] of image.blobs) this.#blobs.set(digest, body);
    const stored = { body: image.manifest, mediaType: image.mediaType };
    this.#manifests.set(`${name}@${tag}`, stored);
    this.#manifests.set(`${name}@${image.digest}`, stored);
  }

  /** Requests being answered, those that stall included. */
  get answering(): number {
    return this.#answering;
  }

  /** Body bytes sent for a blob or manifest so far, over all requests. */
  bytesServed(target: string): number {
    return this.#served.get(target) ?? 0;
  }

  /** Requests of one kind, for one target when given. */
  count(kind: SeenRequest["kind"], target?: string): number {
    return this.requests.filter((r) => r.kind === kind && (target === undefined || r.target === target))
      .length;
  }

  /** Stops it, breaking open connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const seen = this.#record(req);
    this.#answering++;
    res.once("close", () => {
      this.#answering--;
    });
    const wrong = this.script(seen) ?? {};
    await wrong.after;
    if (wrong.delayMs) await new Promise((resolve) => setTimeout(resolve, wrong.delayMs));
    if (wrong.redirect !== undefined) {
      res.writeHead(307, { location: wrong.redirect.replace("{path}", seen.url) }).end();
      return;
    }
    if (wrong.status !== undefined) {
      res.writeHead(wrong.status, wrong.headers).end(wrong.body ?? "");
      return;
    }
    if (seen.kind === "token" && this.auth?.kind === "token") {
      const form = new URLSearchParams(await text(req));
      return answerToken(this.auth, seen, res, form);
    }
    const denied = challenge(this.auth, seen, this.url);
    if (denied) {
      res.writeHead(401, { "www-authenticate": denied, "content-type": "application/json" });
      res.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return;
    }
    await this.#answer(seen, wrong, res);
  }

  async #answer(seen: SeenRequest, wrong: Misbehaviour, res: ServerResponse): Promise<void> {
    const name = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(seen.url)?.[1] ?? "";
    const manifest = this.#manifests.get(`${name}@${seen.target}`);
    const found = seen.kind === "manifest" ? manifest?.body : this.#blobs.get(seen.target);
    if (seen.kind === "ping") return void res.writeHead(200).end("{}");
    if (found === undefined) {
      const code = seen.kind === "manifest" ? "MANIFEST_UNKNOWN" : "BLOB_UNKNOWN";
      return void res.writeHead(404).end(`{"errors":[{"code":"${code}","message":"not here"}]}`);
    }
    const whole = wrong.replace ?? found;
    const range = wrong.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(seen.headers["range"] ?? "");
    const from = range?.[1];
    const last = Math.min(whole.length, Number(range?.[2] || whole.length) + 1) - 1;
    if (from !== undefined && Number(from) >= whole.length) {
      res.writeHead(416, { "content-range": `bytes */${whole.length}` }).end();
      return;
    }
    const body = from === undefined ? whole : whole.subarray(Number(from), last + 1);
    const headers: Record<string, string | number> = {
      "content-type": seen.kind === "manifest" ? (manifest?.mediaType ?? "") : "application/octet-stream",
      "content-length": wrong.endAfter ?? body.length,
      ...(from === undefined ? {} : { "content-range": `bytes ${from}-${last}/${whole.length}` }),
      ...wrong.headers,
    };
    res.writeHead(from === undefined ? 200 : 206, headers);
    res.flushHeaders();
    await this.#send(seen, wrong, body, res);
  }

  async #send(seen: SeenRequest, wrong: Misbehaviour, body: Buffer, res: ServerResponse): Promise<void> {
    const limit = Math.min(wrong.dropAfter ?? wrong.endAfter ?? wrong.stallAfter ?? body.length, body.length);
    const step = wrong.bytesPerSecond ? Math.max(1, Math.floor(wrong.bytesPerSecond / 20)) : 256 * 1024;
    for (let at = 0; at < limit; at += step) {
      const part = body.subarray(at, Math.min(at + step, limit));
      this.#served.set(seen.target, this.bytesServed(seen.target) + part.length);
      if (!res.write(part) && !(await drained(res))) return;
      if (wrong.bytesPerSecond) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (wrong.stallAfter !== undefined) return;
    if (wrong.dropAfter !== undefined) res.socket?.end(() => res.socket?.destroy());
    else res.end();
  }

  #record(req: IncomingMessage): SeenRequest {
    const url = req.url ?? "";
    const found = /^\/v2\/.+\/(manifests|blobs)\/([^/?]+)$/.exec(url);
    const kind = found ? (found[1] === "blobs" ? "blob" : "manifest") : other(url);
    const target = found?.[2] ?? "";
    const headers = Object.fromEntries(Object.entries(req.headers).map(([k, v]) => [k, String(v)]));
    const seen = {
      method: req.method ?? "",
      url,
      headers,
      kind,
      target,
      earlier: this.count(kind, target),
    } as const;
    this.requests.push(seen);
    return seen;
  }
}

function other(url: string): "token" | "ping" | "other" {
  if (url.startsWith("/token")) return "token";
  return url === "/v2/" ? "ping" : "other";
}

/** Resolves to false when the peer went away instead. */
function drained(res: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const onDrain = () => settle(true);
    const onClose = () => settle(false);
    const settle = (isOpen: boolean) => {
      res.off("drain", onDrain);
      res.off("close", onClose);
      resolve(isOpen);
    };
    res.on("drain", onDrain);
    res.on("close", onClose);
  });
}
