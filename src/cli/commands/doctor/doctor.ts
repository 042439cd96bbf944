import { count } from "../../render/time.ts";
import { EXIT } from "../../session/report.ts";
import type { Session } from "../../session/session.ts";
import { harmless, type Paint } from "../../session/terminal.ts";
import { checkApi } from "./api.ts";
import type { Check } from "./check.ts";
import { checkConsole, checkRegistry, checkRest, checkTraces } from "./http.ts";
import { checkMachine } from "./machine.ts";

/** Runs `hover doctor`. Shows each check at once, in the order of their dependencies. */
export async function runDoctor(session: Session): Promise<void> {
  const checks: Check[] = [];
  for (const group of [checkMachine, checkApi, checkRest, checkTraces, checkConsole, checkRegistry]) {
    for await (const check of group(session)) {
      session.signal.throwIfAborted();
      checks.push(check);
      if (!session.json) session.printLines(checkLines(check, session.terminal.paint));
    }
  }
  const failed = checks.filter((check) => check.status === "fail").length;
  const warned = checks.filter((check) => check.status === "warn").length;
  if (failed > 0) session.exitCode = EXIT.failed;
  if (session.json) {
    const all = checks.map(({ name, status, detail, fix = null }) => ({ name, status, detail, fix }));
    session.printJson({ ok: failed === 0, checks: all });
  } else session.printLines(["", summary(failed, warned)]);
}

function checkLines({ name, status, detail, fix }: Check, paint: Paint): string[] {
  const colour = { ok: paint.green, warn: paint.yellow, fail: paint.red, skip: paint.dim }[status];
  return [
    `${colour(status.padEnd(5))} ${name.padEnd(16)} ${harmless(detail)}`,
    ...(fix === undefined ? [] : [`${" ".repeat(23)}Fix: ${fix}`]),
  ];
}

function summary(failed: number, warned: number): string {
  if (failed > 0) return `${count(failed, "failure")}; fix the first one first.`;
  return warned === 0 ? "Everything works." : `Everything works, with ${count(warned, "warning")}.`;
}
