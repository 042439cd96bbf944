import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../../src/lib/stores/durable-file.ts";
import { ROOT } from "../../../tools/lib/paths.ts";
import { type Commit, commitOf, describeCommit, requireClean, requireSame } from "./commit.ts";
import { describeMachine, load, type MachineInfo, type VmmInfo } from "./machine.ts";
import { type Row, summarize } from "./percentiles.ts";
import { plot } from "./plot.ts";
import { writeReadme } from "./readme.ts";
import { number, ratio, table } from "./table.ts";

/** What a row should not exceed (`atLeast`: fall below), in the row's unit. */
export interface Target {
  readonly p50?: number;
  readonly p99?: number;
  readonly atLeast?: boolean;
}

/** How a report looks. */
export interface ReportOptions {
  /** Name of its files. */
  readonly name: string;
  readonly title: string;
  /** Write it into bench/README.md. */
  readonly readme?: boolean;
  readonly targets?: Readonly<Record<string, Target>>;
  /** The row that the others of its unit are compared with. */
  readonly floor?: string;
  /** Rows of that unit that are not compared. */
  readonly uncompared?: readonly string[];
}

const RESULTS = join(ROOT, "bench/results");

/** Collects figures, prints them, and writes them into `bench/results` and the README. */
export class Report {
  readonly #options: ReportOptions;
  readonly #commit: Commit | undefined = commitOf(ROOT);
  readonly #machine: MachineInfo = describeMachine();
  readonly #loadBefore = load();
  readonly #startedAt = new Date();
  readonly #rows: Row[] = [];
  readonly #absent: string[] = [];
  readonly #notes: string[] = [];
  readonly #sections: string[] = [];
  vmm: VmmInfo = { name: "none", acceleration: "none", reason: "" };
  hasFailures = false;

  /** @throws UserError when figures of no commit would go into the README */
  constructor(options: ReportOptions) {
    this.#options = options;
    if (options.readme) requireClean(this.#commit, again(options));
  }

  /** Adds a row. Without samples it is listed as absent, with the reason. */
  add(name: string, unit: string, samples: readonly number[], whyNone = "nothing was measured"): void {
    if (samples.length === 0) this.#absent.push(`${name}: ${whyNone}`);
    else this.#rows.push(summarize(name, unit, samples));
  }

  /** Adds rows in milliseconds, by their names. */
  addTimes(rows: Readonly<Record<string, readonly number[]>>, whyNone?: string): void {
    for (const [name, samples] of Object.entries(rows)) this.add(name, "ms", samples, whyNone);
  }

  /** Adds what a reader of the figures must know. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** Adds a note about failures. */
  fail(text: string): void {
    this.hasFailures = true;
    this.note(text);
  }

  /** Adds a table below the figures. */
  section(title: string, lines: readonly string[]): void {
    this.#sections.push(["", title, "", ...lines].join("\n"));
  }

  row(name: string): Row | undefined {
    return this.#rows.find((each) => each.name === name);
  }

  text(): string {
    const { cpu, cores, memory_mb, kernel, system } = this.#machine;
    const { name, acceleration } = this.vmm;
    const when = this.#startedAt.toISOString().slice(0, 16).replace("T", " ");
    return [
      `${this.#options.title}, ${describeCommit(this.#commit)}, ${when} UTC`,
      `machine: ${cpu}, ${cores} cores, ${(memory_mb / 1024).toFixed(0)} GB, Linux ${kernel}, ${system}`,
      `VMM: ${name}, ${acceleration}`,
      `load average: ${this.#loadBefore} before, ${load()} after`,
      "",
      ...this.#figures(),
      ...this.#absent.map((each) => `absent: ${each}`),
      ...this.#notes.map((each) => `note: ${each}`),
      ...this.#sections,
    ].join("\n");
  }

  /** Prints the report and writes its files. @throws UserError as the constructor does */
  finish(): void {
    const text = this.text();
    process.stdout.write(`\n${text}\n`);
    const { name, title, readme } = this.#options;
    const { cpu, cores } = this.#machine;
    const { vmm } = this;
    const subtitle = `${cpu}, ${cores} cores; ${vmm.name}, ${vmm.acceleration}`;
    const result = { commit: describeCommit(this.#commit), machine: this.#machine, vmm, rows: this.#rows };
    writeResult(`${name}.json`, `${JSON.stringify(result, undefined, 2)}\n`);
    writeResult(`${name}.txt`, `${text}\n`);
    writeResult(`${name}.svg`, plot(title, subtitle, this.#rows));
    if (readme) {
      const now = commitOf(ROOT);
      requireClean(now, again(this.#options));
      requireSame(this.#commit, now, again(this.#options));
      writeReadme(name, `\`\`\`text\n${text}\n\`\`\``);
    }
  }

  #figures(): string[] {
    if (this.#rows.length === 0) return [];
    const { targets = {}, floor: floorName, uncompared = [] } = this.#options;
    const floor = floorName === undefined ? undefined : this.row(floorName);
    const isCompared = (row: Row) =>
      floor !== undefined && row !== floor && row.unit === floor.unit && !uncompared.includes(row.name);
    const heading = ["", "unit", "n", "p50", "p90", "p99", "max"];
    const body = this.#rows.map((row) => [
      ...[row.name, row.unit, String(row.n), ...[row.p50, row.p90, row.p99, row.max].map(number)],
      ...(floor === undefined ? [] : [isCompared(row) ? ratio(row.p50, floor.p50) : ""]),
      compareToTarget(row, targets[row.name]),
    ]);
    return table([[...heading, ...(floor === undefined ? [] : ["p50 to floor"]), "target"], ...body]);
  }
}

function again({ name }: ReportOptions): string {
  return `npm run bench -- ${name} --readme`;
}

/** E.g. `p50 <= 60 ok, p99 <= 150 MISSED`. */
export function compareToTarget(row: Row, target: Target | undefined): string {
  if (target === undefined) return "";
  const compare = (name: "p50" | "p99") => {
    const limit = target[name];
    if (limit === undefined) return [];
    const isMet = target.atLeast ? row[name] >= limit : row[name] <= limit;
    return [`${name} ${target.atLeast ? ">=" : "<="} ${limit} ${isMet ? "ok" : "MISSED"}`];
  };
  return [...compare("p50"), ...compare("p99")].join(", ");
}

/** Writes a file into `bench/results` and prints its path. */
export function writeResult(file: string, text: string): void {
  mkdirSync(RESULTS, { recursive: true });
  replaceFileSync(join(RESULTS, file), text, 0o644);
  process.stdout.write(`bench/results/${file}\n`);
}
