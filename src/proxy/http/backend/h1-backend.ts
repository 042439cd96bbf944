import { Agent, type ClientRequest, type IncomingMessage, type InformationEvent, request } from "node:http";
import type { Socket } from "node:net";
import type { Place } from "../../route.ts";
import type { BodyTape } from "../body-tape.ts";
import { cleanTrailers } from "../headers/fields.ts";
import { AttemptError, type MachineAnswer, type Stage } from "./answer.ts";
import type { Ending, OnInformation, Outgoing } from "./outgoing.ts";

/** Idle connections are closed before programs close them (uvicorn, Node: 5 s; gunicorn: 2 s). */
const IDLE_MS = 1_500;
const MAX_IDLE_PER_MACHINE = 64;
const CONNECT_TIMEOUT_MS = 3_000;
const MAX_HEAD_BYTES = 64 * 1024;
/** Rest of an answer that nobody wants: reading so much is cheaper than a new connection. */
const DISCARD_BYTES = 64 * 1024;

interface Named {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly machine?: string | undefined;
}

/** Connections of one machine are not used for another that gets its address. */
class MachineAgent extends Agent {
  override getName(options?: Named): string {
    return `${options?.machine ?? ""}@${options?.host ?? ""}:${options?.port ?? 0}`;
  }
}

/** Sends requests to machines by HTTP/1.1, over connections that are kept. */
export class H1Backend {
  readonly #agent = new MachineAgent({
    keepAlive: true,
    timeout: IDLE_MS,
    maxFreeSockets: MAX_IDLE_PER_MACHINE,
    scheduling: "lifo",
  });

  /**
   * Sends a request, and its body as it comes. Resolves with the head of the answer.
   *
   * @throws AttemptError
   */
  send(
    place: Place,
    outgoing: Outgoing,
    tape: BodyTape,
    onInformation: OnInformation,
    ending: Ending,
  ): Promise<MachineAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<MachineAnswer>();
    const { host, port } = place.address;
    let sent: ClientRequest;
    try {
      const options = {
        ...{ host, port, agent: this.#agent, machine: `${place.machineId}/${place.instanceId}` },
        ...{ method: outgoing.method, path: outgoing.path, headers: framed(outgoing) },
        ...{ maxHeaderSize: MAX_HEAD_BYTES, setHost: false },
      };
      sent = request(options);
    } catch (cause) {
      // Node refuses to write what would not be one well-formed request.
      return Promise.reject(new AttemptError("begun", cause));
    }
    const progress = new Progress(sent);
    // Also after its answer: a connection that breaks then fails the request too.
    sent.on("error", (cause) => reject(new AttemptError(progress.stage(), cause)));
    const abort = ending.onEnd(() => sent.destroy(asError(ending.reason)));
    sent.once("close", () => abort[Symbol.dispose]());
    sent.on("information", ({ statusCode, rawHeaders }: InformationEvent) =>
      onInformation(statusCode, rawHeaders),
    );
    sent.once("response", (message) => {
      progress.began();
      const refusal = message.statusCode === 101 ? unasked() : codingFault(message);
      if (refusal) {
        sent.destroy(refusal);
        return;
      }
      // A program may answer before it has the whole body: nobody sends the rest.
      message.once("end", () => {
        if (!sent.writableEnded) sent.destroy();
      });
      resolve(answerOf(sent, message));
    });
    sent.once("upgrade", (message, socket, first) => {
      progress.began();
      abort[Symbol.dispose]();
      socket.on("error", () => socket.destroy());
      if (outgoing.upgrade === "") {
        socket.destroy();
        reject(new AttemptError("begun", unasked()));
        return;
      }
      resolve({ ...answerOf(sent, message), changed: { socket, first } });
    });
    // A machine that refuses takes nothing of the body, so that another can have it, kept or not.
    whenConnected(sent, () =>
      tape.play(sent, () => {
        const trailers = cleanTrailers(outgoing.trailers());
        if (trailers.length > 0) sent.addTrailers(pairs(trailers));
        sent.end();
      }),
    );
    // A body that has not come yet must not keep the head back.
    if (outgoing.length !== undefined) setImmediate(() => flushHead(sent));
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Notes how far a request has come. */
class Progress {
  #socket: Socket | undefined;
  #readBefore = 0;
  #isConnected = false;
  #hasBegun = false;

  constructor(sent: ClientRequest) {
    sent.once("socket", (socket) => {
      this.#socket = socket;
      this.#readBefore = socket.bytesRead;
      if (!socket.connecting) {
        this.#isConnected = true;
        return;
      }
      const limit = setTimeout(() => sent.destroy(new Error("no connection in time")), CONNECT_TIMEOUT_MS);
      socket.once("connect", () => {
        clearTimeout(limit);
        this.#isConnected = true;
      });
      socket.once("close", () => clearTimeout(limit));
    });
  }

  began(): void {
    this.#hasBegun = true;
  }

  stage(): Stage {
    if (this.#hasBegun || (this.#socket?.bytesRead ?? 0) > this.#readBefore) return "begun";
    return this.#isConnected ? "silent" : "refused";
  }
}

function whenConnected(sent: ClientRequest, connected: () => void): void {
  sent.once("socket", (socket) => {
    const begin = () => {
      if (!sent.destroyed) connected();
    };
    if (socket.connecting) socket.once("connect", begin);
    else begin();
  });
}

function framed({ headers, length, upgrade, method }: Outgoing): string[] {
  if (upgrade !== "") return [...headers, "connection", "Upgrade", "upgrade", upgrade];
  if (length === "chunked") return [...headers, "transfer-encoding", "chunked"];
  if (length !== undefined) return [...headers, "content-length", String(length)];
  // Otherwise Node announces a body for these.
  const announces = !["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"].includes(method);
  return announces ? [...headers, "content-length", "0"] : [...headers];
}

function answerOf(sent: ClientRequest, message: IncomingMessage): MachineAnswer {
  const { statusCode = 502, statusMessage = "", rawHeaders } = message;
  return {
    head: { status: statusCode, statusText: statusMessage, headers: rawHeaders },
    body: message,
    isEmpty: message.complete,
    isWhole: () => message.complete,
    trailers: () => cleanTrailers(message.rawTrailers),
    discard: () => discard(sent, message),
  };
}

function discard(sent: ClientRequest, message: IncomingMessage): void {
  message.on("error", () => {});
  if (!sent.writableFinished) {
    sent.destroy();
    return;
  }
  let read = 0;
  message.on("data", (chunk: Buffer) => {
    read += chunk.length;
    if (read > DISCARD_BYTES) sent.destroy();
  });
  message.resume();
}

function flushHead(sent: ClientRequest): void {
  if (!sent.destroyed && !sent.writableEnded) sent.flushHeaders();
}

function pairs(headers: readonly string[]): [string, string][] {
  return Array.from({ length: headers.length >> 1 }, (_, at) => [
    headers[2 * at] ?? "",
    headers[2 * at + 1] ?? "",
  ]);
}

/** A coding that the proxy takes away, and does not undo, would leave a body that nobody can read. */
function codingFault({ headers }: IncomingMessage): Error | undefined {
  const coding = headers["transfer-encoding"] ?? "chunked";
  if (/^(?:chunked|identity)$/i.test(coding.trim())) return undefined;
  return new CodingError(`the transfer coding of an answer must be chunked, not ${coding.slice(0, 64)}`);
}

class CodingError extends Error {
  readonly code = "ERR_TRANSFER_CODING";
}

function unasked(): Error {
  return new Error("the machine changes the protocol, which nobody has asked for");
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
