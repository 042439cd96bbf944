import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Place } from "../../route.ts";
import type { BodyTape } from "../body-tape.ts";
import type { FlatHeaders } from "../exchange.ts";
import { cleanTrailers } from "../headers/fields.ts";
import { trailerObject, withoutPseudo } from "../headers/h2-headers.ts";
import { AttemptError, type MachineAnswer, type Stage } from "./answer.ts";
import type { Ending, OnInformation, Outgoing } from "./outgoing.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const IDLE_MS = 60_000;
/** Streams of one connection, when the program allows as many. */
const MAX_STREAMS = 100;
const WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;

interface Session {
  readonly client: ClientHttp2Session;
  isConnected: boolean;
  streams: number;
}

/** Sends requests to machines by HTTP/2 without TLS, as gRPC needs. */
export class H2Backend {
  readonly #sessions = new Map<string, Session[]>();

  /** See H1Backend.send. @throws AttemptError */
  send(
    place: Place,
    outgoing: Outgoing,
    tape: BodyTape,
    onInformation: OnInformation,
    ending: Ending,
  ): Promise<MachineAnswer> {
    const session = this.#session(place);
    const { promise, resolve, reject } = Promise.withResolvers<MachineAnswer>();
    let stream: ClientHttp2Stream;
    try {
      stream = session.client.request(pseudo(place, outgoing), {
        endStream: outgoing.length === undefined,
        waitForTrailers: outgoing.length !== undefined,
      });
    } catch (cause) {
      return Promise.reject(new AttemptError(session.client.destroyed ? "refused" : "begun", cause));
    }
    session.streams += 1;
    let hasBegun = false;
    const stage = (): Stage => {
      if (hasBegun) return "begun";
      const isUnheard = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || !session.isConnected;
      return isUnheard ? "refused" : "silent";
    };
    const readBefore = bytesRead(session);
    const abort = ending.onEnd(() => {
      // Perhaps nobody is there any more, which the next request would find out as slowly.
      if (bytesRead(session) === readBefore) this.#retire(place, session);
      stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.once("close", () => {
      abort[Symbol.dispose]();
      session.streams -= 1;
      reject(new AttemptError(stage(), ending.hasEnded ? ending.reason : new Error("the stream was closed")));
    });
    stream.on("error", (cause) => reject(new AttemptError(stage(), cause)));
    stream.on("headers", (headers, _flags, raw: FlatHeaders = []) =>
      onInformation(headers[":status"] ?? 0, withoutPseudo(raw)),
    );
    let trailers: FlatHeaders | undefined;
    stream.once("trailers", (_headers, _flags, raw: FlatHeaders = []) => {
      trailers = raw;
    });
    stream.once("wantTrailers", () => {
      stream.sendTrailers(trailerObject(cleanTrailers(outgoing.trailers())));
    });
    stream.once("response", (headers, flags, raw: FlatHeaders = []) => {
      hasBegun = true;
      resolve({
        head: { status: headers[":status"] ?? 502, statusText: "", headers: withoutPseudo(raw) },
        body: stream,
        isEmpty: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
        // Node ends the body, without an error, of a stream that is cancelled or whose connection has ended.
        isWhole: () => trailers !== undefined || stream.rstCode === constants.NGHTTP2_NO_ERROR,
        trailers: () => cleanTrailers(trailers ?? []),
        discard: () => stream.close(constants.NGHTTP2_CANCEL),
      });
    });
    // A program may answer before it has the whole body: nobody sends the rest.
    stream.once("end", () => {
      if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    const play = () => {
      if (stream.closed || stream.destroyed) return;
      tape.play(stream, () => {
        if (outgoing.length !== undefined) stream.end();
      });
    };
    // A machine that refuses takes nothing of the body, so that another can have it, kept or not.
    if (stream.pending) stream.once("ready", play);
    else play();
    return promise;
  }

  close(): void {
    for (const session of [...this.#sessions.values()].flat()) session.client.destroy();
    this.#sessions.clear();
  }

  #session(place: Place): Session {
    const { host, port } = place.address;
    const key = keyOf(place);
    const sessions = this.#sessions.get(key) ?? [];
    const free = sessions.find(
      ({ client, streams }) => !client.closed && !client.destroyed && streams < limitOf(client),
    );
    if (free) return free;
    const session = open(host, port);
    this.#sessions.set(key, [...sessions, session]);
    session.client.once("close", () => this.#forget(key, session));
    return session;
  }

  /** Begins no more requests on a connection; those under way go on. */
  #retire(place: Place, session: Session): void {
    this.#forget(keyOf(place), session);
    session.client.close();
  }

  #forget(key: string, session: Session): void {
    const left = this.#sessions.get(key)?.filter((each) => each !== session) ?? [];
    if (left.length === 0) this.#sessions.delete(key);
    else this.#sessions.set(key, left);
  }
}

function keyOf({ machineId, instanceId, address: { host, port } }: Place): string {
  return `${machineId}/${instanceId}@${host}:${port}`;
}

/** Bytes that a machine has sent on a connection. */
function bytesRead({ client, isConnected }: Session): number {
  return isConnected && !client.destroyed ? (client.socket?.bytesRead ?? 0) : 0;
}

function open(host: string, port: number): Session {
  const options = {
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    // A client that repeats a header is the program's business, and trailers are sent where nobody catches.
    strictSingleValueFields: false,
  };
  const client = connect(`http://${host.includes(":") ? `[${host}]` : host}:${port}`, options);
  const session: Session = { client, isConnected: false, streams: 0 };
  const limit = setTimeout(() => client.destroy(new Error("no connection in time")), CONNECT_TIMEOUT_MS);
  client.once("connect", () => {
    clearTimeout(limit);
    session.isConnected = true;
    client.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  });
  client.once("close", () => clearTimeout(limit));
  // Its streams fail too, and tell.
  client.on("error", () => {});
  client.setTimeout(IDLE_MS, () => {
    if (session.streams === 0) client.close();
  });
  return session;
}

function limitOf(client: ClientHttp2Session): number {
  // Empty before the program has sent its settings.
  const { maxConcurrentStreams = MAX_STREAMS } = client.connecting ? {} : (client.remoteSettings ?? {});
  return Math.min(MAX_STREAMS, maxConcurrentStreams);
}

function pseudo({ address }: Place, { method, path, headers, length }: Outgoing): string[] {
  const sent: string[] = [":method", method, ":scheme", "http", ":path", path];
  let authority = `${address.host}:${address.port}`;
  const rest: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] ?? "").toLowerCase();
    if (name === "host") authority = headers[at + 1] ?? authority;
    else rest.push(name, headers[at + 1] ?? "");
  }
  if (typeof length === "number") rest.push("content-length", String(length));
  return [...sent, ":authority", authority, ...rest, "te", "trailers"];
}
