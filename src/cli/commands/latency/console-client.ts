import { Fault, type Violation } from "../../../lib/faults/fault.ts";
import { HTTP_STATUS } from "../../../lib/faults/http-status.ts";
import { httpRequest } from "../../session/http.ts";
import type { Session } from "../../session/session.ts";

const TIMEOUT_MS = 15_000;

/** Asks the console. @throws Fault UNAVAILABLE / `CONSOLE_UNAVAILABLE`; what the console answers */
export async function askConsole(session: Session, path: string, json?: object): Promise<unknown> {
  const { value, from } = session.settings.console;
  const options = {
    token: session.token(),
    timeoutMs: TIMEOUT_MS,
    signal: session.signal,
    ...(json === undefined ? {} : { json }),
  };
  const answer = await httpRequest(`${value}${path}`, options).catch((cause: unknown) => {
    if (session.signal.aborted) throw cause;
    const message = `the console at ${value} (from ${from}) does not answer`;
    throw new Fault("UNAVAILABLE", "CONSOLE_UNAVAILABLE", message, { address: value }, { cause });
  });
  const body = parse(answer.text);
  if (answer.status === 200 && body !== undefined) return body;
  throw faultOf(answer.status, body, value);
}

function faultOf(status: number, body: unknown, address: string): Fault {
  const { code, reason, message, facts, violations } = Object(Object(body)["error"]);
  if (!isCode(code) || typeof reason !== "string" || typeof message !== "string") {
    const text = `the console at ${address} answered ${status}`;
    return new Fault("UNKNOWN", "CONSOLE_ANSWER", text, { address });
  }
  return new Fault(code, reason, message, textsOf(facts), { violations: violationsOf(violations) });
}

function isCode(code: unknown): code is keyof typeof HTTP_STATUS {
  return typeof code === "string" && Object.hasOwn(HTTP_STATUS, code);
}

function textsOf(facts: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(Object(facts)).map(([name, value]) => [name, String(value)]));
}

function violationsOf(list: unknown): Violation[] {
  if (!Array.isArray(list)) return [];
  return list.map((each) => ({
    field: String(Object(each)["field"]),
    description: String(Object(each)["description"]),
  }));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
