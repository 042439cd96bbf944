import { checkApi } from "../doctor/api.ts";
import type { Check } from "../doctor/check.ts";
import { checkRegistry, checkTraces } from "../doctor/http.ts";
import { checkMachine } from "../doctor/machine.ts";
import { EXIT } from "../report.ts";
import type { Handler } from "../runner.ts";
import { harmless, type Paint } from "../terminal.ts";

/** `hover doctor`. */
export const runDoctor: Handler<[], object> = async (session) => {
  const checks: Check[] = [];
  const { paint } = session.terminal;
  // In the order in which things depend on each other, and each told at once.
  const groups = [checkMachine(session), checkApi(session), checkTraces(session), checkRegistry(session)];
  for (const group of groups) {
    for await (const check of group) {
      session.signal.throwIfAborted();
      checks.push(check);
      if (!session.json) session.printLines(checkLines(check, paint));
    }
  }
  const failed = checks.filter((check) => check.status === "fail").length;
  const warned = checks.filter((check) => check.status === "warn").length;
  if (session.json) session.printJson({ ok: failed === 0, checks: checks.map(checkJson) });
  else session.printLines(["", verdict(failed, warned)]);
  return failed > 0 ? EXIT.failed : EXIT.ok;
};

function checkLines({ name, status, detail, fix }: Check, paint: Paint): string[] {
  const colour = { ok: paint.green, warn: paint.yellow, fail: paint.red, skip: paint.dim }[status];
  return [
    `${colour(status.padEnd(5))} ${name.padEnd(16)} ${harmless(detail)}`,
    ...(fix === undefined ? [] : [`${" ".repeat(23)}Fix: ${fix}`]),
  ];
}

function checkJson({ name, status, detail, fix }: Check) {
  return { name, status, detail, fix: fix ?? null };
}

function verdict(failed: number, warned: number): string {
  if (failed > 0) return failed === 1 ? "One thing to fix." : `${failed} things to fix; the first one first.`;
  if (warned === 0) return "All is well.";
  return `All works; ${warned === 1 ? "one thing" : `${warned} things`} to know about.`;
}
