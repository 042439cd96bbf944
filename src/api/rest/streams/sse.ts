import { asFault } from "../../../lib/grpc/status.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import type { Json } from "../convert/json.ts";
import { errorAnswer } from "../errors/answer.ts";

export const SSE_TYPE = "text/event-stream; charset=utf-8";
export const JSON_LINES_TYPE = "application/x-ndjson; charset=utf-8";

/** Between heartbeats, which keep proxies from closing a stream and detect clients that have gone. */
const HEARTBEAT_MS = 15_000;
/** A stream that fails within this time is answered with a status and an error. */
const FIRST_MS = 250;

/** A message of server-sent events. */
export interface SseMessage {
  /** `Last-Event-ID` of a client that resumes after this message. */
  readonly id?: string;
  readonly event?: string;
  readonly data: Json;
}

/** Writes a message. JSON has no line breaks, and an id with one would be two fields. */
export function sseText({ id, event, data }: SseMessage): string {
  const fields = [
    ...(id === undefined ? [] : [`id: ${id.replace(/[\r\n\0]/g, "")}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ];
  return `${fields.join("\n")}\n\n`;
}

/** The format of a stream. */
export interface StreamFormat {
  /** Sent after 15 s without messages. */
  readonly heartbeat: string;
  /** Writes the error that ends a stream, whose status has long been sent. */
  failure(body: Json): string;
}

export const SSE: StreamFormat = {
  heartbeat: ": keep-alive\n\n",
  failure: (body) => sseText({ event: "error", data: body }),
};

export const JSON_LINES: StreamFormat = {
  heartbeat: "\n",
  failure: (body) => `${JSON.stringify(body)}\n`,
};

/**
 * Begins a stream. A fault within 250 ms is thrown; a later one is the last message of the stream.
 *
 * @throws Fault that the source throws within 250 ms
 */
export async function beginStream(
  source: AsyncGenerator<string>,
  format: StreamFormat,
): Promise<AsyncGenerator<string>> {
  const first = source.next();
  // The reader of the stream gets the rejection.
  first.catch(() => {});
  const late = sleep(FIRST_MS, undefined, { ref: false }).then(() => undefined);
  // An idle stream would not even send its headers.
  const isIdle = (await Promise.race([first, late])) === undefined;
  return write(source, first, format, isIdle);
}

async function* write(
  source: AsyncGenerator<string>,
  first: Promise<IteratorResult<string>>,
  format: StreamFormat,
  isIdle: boolean,
): AsyncGenerator<string> {
  let next = first;
  try {
    if (isIdle) yield format.heartbeat;
    for (;;) {
      const found = await orHeartbeat(next);
      if (found === undefined) {
        yield format.heartbeat;
        continue;
      }
      if (found.done) return;
      yield found.value;
      next = source.next();
    }
  } catch (err) {
    yield format.failure({ ...errorAnswer(asFault(err)).body });
  } finally {
    // Not awaited: the generator ends only after its next message.
    source.return(undefined).then(undefined, () => {});
  }
}

/** Waits for the next message; undefined when a heartbeat is due first. */
async function orHeartbeat(
  next: Promise<IteratorResult<string>>,
): Promise<IteratorResult<string> | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), HEARTBEAT_MS).unref();
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
  }
}
