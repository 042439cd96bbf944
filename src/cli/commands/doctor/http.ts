import { httpRequest } from "../../session/http.ts";
import type { Session } from "../../session/session.ts";
import { tokenOf } from "../../session/settings.ts";
import { type Check, upCommand, WRONG_TOKEN_FIX } from "./check.ts";

const TIMEOUT_MS = 3_000;

/** Checks that the trace receiver answers this token. */
export async function* checkTraces({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.traces;
  const name = "trace receiver";
  const { status, problem } = await get(`http://${value}/api/traces?limit=1`, tokenOf(settings), signal);
  if (status === 200) return yield { name, status: "ok", detail: `answers at ${value}` };
  if (status !== undefined) {
    const detail = `${value} answers with status ${status} to this token`;
    return yield { name, status: "fail", detail, fix: WRONG_TOKEN_FIX };
  }
  const detail = `${value} (from ${from}) does not answer: ${problem}`;
  yield { name, status: "fail", detail, fix: upCommand(settings.root) };
}

/** Checks that the web console answers this token. Nothing else depends on it. */
export async function* checkConsole({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.console;
  const name = "console";
  const { status, problem } = await get(`${value}/api/session`, tokenOf(settings), signal);
  if (status === 200) return yield { name, status: "ok", detail: `answers at ${value}` };
  if (status !== undefined) {
    const detail = `${value} answers with status ${status} to this token`;
    return yield { name, status: "warn", detail, fix: WRONG_TOKEN_FIX };
  }
  const detail = `${value} (from ${from}) does not answer: ${problem}`;
  yield { name, status: "warn", detail, fix: upCommand(settings.root) };
}

/** Checks that the REST API answers. */
export async function* checkRest({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.rest;
  const name = "rest";
  const { status, problem } = await get(`${value}/v1/openapi.json`, undefined, signal);
  if (status === 200) return yield { name, status: "ok", detail: `answers at ${value}/v1` };
  const how = status === undefined ? `does not answer: ${problem}` : `answers ${status}`;
  yield { name, status: "fail", detail: `${value} (from ${from}) ${how}`, fix: upCommand(settings.root) };
}

/** Checks that the local image registry answers. */
export async function* checkRegistry({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.registry;
  const name = "registry";
  const { status, problem } = await get(`http://${value}/v2/`, undefined, signal);
  if (status === 200 || status === 401) return yield { name, status: "ok", detail: `answers at ${value}` };
  const how = status === undefined ? `does not answer: ${problem}` : `answers ${status}, not as a registry`;
  const detail = `${value} (from ${from}) ${how}; images there cannot be pulled`;
  yield { name, status: "fail", detail, fix: upCommand(settings.root) };
}

async function get(
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<{ status?: number; problem?: string }> {
  try {
    return await httpRequest(url, { token, timeoutMs: TIMEOUT_MS, signal });
  } catch (err) {
    if (signal.aborted) throw err;
    return { problem: err instanceof Error && "code" in err ? String(err.code) : "no answer in time" };
  }
}
