import { httpRequest } from "../http.ts";
import type { Session } from "../session.ts";
import { tokenOf } from "../settings.ts";
import type { Check } from "./check.ts";

const TIMEOUT_MS = 3_000;

/** The trace receiver: there, and ready to answer this token. */
export async function* checkTraces({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.traces;
  const name = "trace receiver";
  const answer = await get(`http://${value}/api/traces?limit=1`, tokenOf(settings), signal);
  if (typeof answer === "string") {
    const detail = `${value} (from ${from}) does not answer: ${answer}`;
    yield { name, status: "fail", detail, fix: `npm run up   (in ${settings.root})` };
  } else if (answer.status === 200) yield { name, status: "ok", detail: `answers at ${value}` };
  else {
    const detail = `${value} answers, but with status ${answer.status} to this token`;
    yield {
      name,
      status: "fail",
      detail,
      fix: "check that WINDHOVER_DIR and WINDHOVER_TOKEN belong to this fleet",
    };
  }
}

/** The local image registry. A fleet may well use another, so its absence is not a failure of the fleet. */
export async function* checkRegistry({ settings, signal }: Session): AsyncGenerator<Check> {
  const { value, from } = settings.registry;
  const name = "registry";
  const answer = await get(`http://${value}/v2/`, undefined, signal);
  if (typeof answer !== "string" && (answer.status === 200 || answer.status === 401)) {
    yield { name, status: "ok", detail: `answers at ${value}` };
  } else {
    const how =
      typeof answer === "string"
        ? `does not answer: ${answer}`
        : `answers ${answer.status}, not as a registry`;
    const detail = `${value} (from ${from}) ${how}; images there cannot be pulled`;
    yield { name, status: "fail", detail, fix: `npm run up   (in ${settings.root})` };
  }
}

async function get(url: string, token: string | undefined, signal: AbortSignal) {
  try {
    return await httpRequest(url, { token, timeoutMs: TIMEOUT_MS, signal });
  } catch (err) {
    if (signal.aborted) throw err;
    return err instanceof Error && "code" in err ? String(err.code) : "no answer in time";
  }
}
