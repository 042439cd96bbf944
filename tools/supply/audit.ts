import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../lib/run.ts";
import {
  type Answer,
  type Finding,
  fromNpmAudit,
  fromOsv,
  judge,
  type Locked,
  namesOf,
  parseAnswer,
} from "./advisories.ts";
import { readIfPresent } from "./sbom.ts";

/** Where the advisories come from. `osvFolder`: files in OSV's format, instead of a registry. */
export interface Sources {
  readonly project: string;
  /** The last answer, beside the lockfile. */
  readonly keptFile: string;
  readonly osvFolder?: string | undefined;
}

export interface Report {
  readonly lines: readonly string[];
  /** 0: nothing is known. 1: something is. 2: not all could be checked. */
  readonly exitCode: 0 | 1 | 2;
}

/** An older answer may lack what became known since. */
const MAX_AGE_DAYS = 30;
const DAY_MS = 86_400_000;

/** Asks the registry, or reads the folder, and keeps the answer; without one takes what was kept. */
export async function findAnswer(
  locked: Locked,
  { project, keptFile, osvFolder }: Sources,
  now: Date,
  signal?: AbortSignal,
): Promise<{ readonly answer: Answer | undefined; readonly note: string }> {
  const asked = namesOf(locked);
  if (osvFolder !== undefined) {
    const answer = readOsvFolder(osvFolder, locked, asked);
    keep(keptFile, answer);
    return { answer, note: "" };
  }
  const registry = (await run("npm", ["config", "get", "registry"], { cwd: project })).trim();
  const text = await run("npm", ["audit", "--json", "--package-lock-only"], { cwd: project, signal }).catch(
    // npm audit fails when it has found something: its report is in the message.
    (err: Error) => err.message.slice(err.message.indexOf("{"), err.message.lastIndexOf("}") + 1),
  );
  try {
    const advisories = fromNpmAudit(text);
    const answer = {
      source: `registry ${new URL(registry).host}`,
      date: now.toISOString(),
      asked,
      advisories,
    };
    keep(keptFile, answer);
    return { answer, note: "" };
  } catch {
    const kept = readIfPresent(keptFile);
    return {
      answer: kept === undefined ? undefined : parseAnswer(kept),
      note: `The registry ${new URL(registry).host} gives no advisories${reasonIn(text)}.`,
    };
  }
}

/** Says what is known, from which source and how old that is. */
export function reportOf(locked: Locked, answer: Answer | undefined, note: string, now: Date): Report {
  const notes = note === "" ? [] : [note];
  if (answer === undefined) {
    const how = "Run npm run audit where the registry answers, or give advisories with --osv FOLDER.";
    return { lines: [...notes, `Nothing was checked: no answer is kept. ${how}`], exitCode: 2 };
  }
  const { findings, unasked } = judge(locked, answer);
  const days = Math.floor((now.getTime() - Date.parse(answer.date)) / DAY_MS);
  const isOld = days > MAX_AGE_DAYS;
  const lines = [
    ...notes,
    `Source: ${answer.source}, of ${answer.date.slice(0, 10)}${days > 0 ? ` (${days} days ago)` : ""}.`,
    ...findings.map(lineOf),
    ...(unasked.length > 0 ? [`Not checked, as they came later: ${unasked.join(", ")}.`] : []),
    ...(isOld ? [`The answer is older than ${MAX_AGE_DAYS} days: ask again.`] : []),
    `${namesOf(locked).length - unasked.length} packages of package-lock.json checked, ${findings.length} known weaknesses.`,
  ];
  if (findings.length > 0) return { lines, exitCode: 1 };
  return { lines, exitCode: unasked.length > 0 || isOld ? 2 : 0 };
}

function lineOf({ package: name, version, advisory }: Finding): string {
  return `${advisory.severity}: ${name}@${version}: ${advisory.title} (${advisory.id}, ${advisory.range}; ${advisory.url})`;
}

function readOsvFolder(folder: string, locked: Locked, asked: readonly string[]): Answer {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".json"),
  );
  const read = files.map((file) => fromOsv(readFileSync(join(folder, file), "utf8")));
  if (read.length === 0) throw new Error(`${folder} holds no advisories`);
  const newest =
    read
      .map(({ modified }) => modified)
      .sort()
      .at(-1) ?? "";
  const advisories = read.flatMap((each) => each.advisories).filter((each) => locked.has(each.package));
  const source = `${read.length} advisories in OSV's format, the newest`;
  return { source, date: new Date(newest).toISOString(), asked, advisories };
}

function keep(file: string, answer: Answer): void {
  writeFileSync(file, `${JSON.stringify(answer, undefined, 2)}\n`);
}

function reasonIn(text: string): string {
  const message = /"message": "([^"]*)"/.exec(text)?.[1]?.replace(/ - .*/, "");
  return message === undefined ? "" : ` (${message})`;
}
