/**
 * `npm run audit [-- --osv FOLDER]`: are weaknesses of the locked packages known? Exit code 1: yes;
 * 2: not all could be checked.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../lib/main.ts";
import { parseOptions } from "../lib/options.ts";
import { ROOT } from "../lib/paths.ts";
import { parseLockfile } from "../supply/advisories.ts";
import { findAnswer, reportOf } from "../supply/audit.ts";

const USAGE = "npm run audit [-- --osv FOLDER]";

await main(async (signal, progress) => {
  const { osv: osvFolder } = parseOptions(process.argv.slice(2), ["osv"], USAGE);
  const locked = parseLockfile(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  const now = new Date();
  const sources = { project: ROOT, keptFile: join(ROOT, "advisories.json"), osvFolder };
  const { answer, note } = await findAnswer(locked, sources, now, signal);
  const { lines, exitCode } = reportOf(locked, answer, note, now);
  for (const line of lines) progress.say(line);
  return exitCode;
});
