import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { Fault } from "../../../lib/faults/fault.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { type HttpAnswer, type HttpOptions, httpRequest } from "../../session/http.ts";
import { EXIT } from "../../session/report.ts";
import type { Session } from "../../session/session.ts";

/** A create may have to pull and flatten a large image. */
const TIMEOUT_MS = 15 * 60_000;
const STREAM = /^(?:text\/event-stream|application\/x-ndjson)\b/;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** The flags of `hover api`. */
export interface ApiFlags {
  readonly data?: string;
  readonly header?: readonly string[];
  readonly include?: boolean;
  readonly timeout?: number;
}

/** Calls the REST API with the session's token, and prints the answer. */
export async function callApi(
  session: Session,
  [first, second]: [string, string | undefined],
  flags: ApiFlags,
): Promise<void> {
  const given = second === undefined ? undefined : first.toUpperCase();
  const method = given ?? (flags.data === undefined ? "GET" : "POST");
  if (!METHODS.includes(method)) throw new UsageError(`Methods are ${METHODS.join(", ")}; not "${first}".`);
  const path = second ?? first;
  if (!path.startsWith("/")) throw new UsageError(`The path begins with a slash: /v1/apps, not "${path}".`);
  const { value: address, from } = session.settings.rest;
  const options = {
    method,
    headers: headersOf(flags.header ?? []),
    token: session.token(),
    timeoutMs: flags.timeout ?? TIMEOUT_MS,
    signal: session.signal,
    toReader: readerOf(session, flags.include === true),
    ...(flags.data === undefined ? {} : { body: await bodyOf(flags.data) }),
  };
  let answer: HttpAnswer;
  try {
    answer = await httpRequest(`${address}${path}`, options);
  } catch (err) {
    if (session.signal.aborted) throw err;
    const why = err instanceof Error && err.message !== "" ? `: ${err.message}` : "";
    const message = `the REST API at ${address} (from ${from}) does not answer${why}`;
    throw new Fault("UNAVAILABLE", "REST_UNAVAILABLE", message, { address }, { cause: err });
  }
  if (!isStream(answer)) print(session, answer, flags.include === true);
  if (answer.status >= 400) session.exitCode = EXIT.failed;
}

/** Prints the pieces of a stream as they come: who watches wants to see them. */
function readerOf({ terminal }: Session, include: boolean): NonNullable<HttpOptions["toReader"]> {
  return (head) => {
    if (!isStream(head)) return undefined;
    if (include) terminal.out(headOf(head));
    return (bytes) => terminal.pass("stdout", bytes);
  };
}

function isStream({ status, headers }: Omit<HttpAnswer, "text">): boolean {
  return status < 400 && STREAM.test(headers["content-type"] ?? "");
}

function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(":");
      if (at < 1) throw new UsageError(`Write a header as NAME: VALUE, not "${line}".`);
      return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
    }),
  );
}

async function bodyOf(data: string): Promise<string> {
  if (data === "-") return await text(process.stdin);
  if (!data.startsWith("@")) return data;
  try {
    return readFileSync(data.slice(1), "utf8");
  } catch (err) {
    throw new UsageError(`${data.slice(1)} cannot be read: ${err instanceof Error ? err.message : err}`);
  }
}

/** Prints JSON laid out for people, and anything else as it is. */
function print({ terminal }: Session, { status, headers, text: body }: HttpAnswer, include: boolean): void {
  if (include) terminal.out(headOf({ status, headers }));
  if (status >= 400 && !include) terminal.err(`HTTP ${status}\n`);
  if (body !== "") terminal.out(`${laidOut(body).trimEnd()}\n`);
}

function headOf({ status, headers }: Omit<HttpAnswer, "text">): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `${[`HTTP ${status}`, ...lines].join("\n")}\n\n`;
}

function laidOut(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), undefined, 2);
  } catch {
    return body;
  }
}
