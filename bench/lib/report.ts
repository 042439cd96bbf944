import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../src/lib/stores/durable-file.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { type Commit, commitOf, describeCommit, requireClean, requireSame } from "./commit.ts";
import { describeMachine, load, type MachineInfo, type VmmInfo } from "./machine.ts";
import { type Row, summarize } from "./percentiles.ts";
import { plot } from "./plot.ts";
import { writeReadme } from "./readme.ts";
import { number, ratio, table } from "./table.ts";

/** What a measured row should not exceed (or, for rates, fall below), in the row's unit. */
export interface Target {
  readonly p50?: number;
  readonly p99?: number;
  readonly atLeast?: boolean;
}

/** What a benchmark says of itself. */
export interface ReportOptions {
  /** Names its files. */
  readonly name: string;
  readonly title: string;
  /** Put the outcome into bench/README.md. */
  readonly readme?: boolean;
  readonly targets?: Readonly<Record<string, Target>>;
  /** The row that the others of its unit are compared with. */
  readonly floor?: string;
  /** Rows of that unit that are something else and not to be compared. */
  readonly uncompared?: readonly string[];
}

const RESULTS = join(ROOT, "bench/results");

/** Collects what a benchmark has measured and puts it on the screen, into `bench/results` and into the README. */
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
  #vmm: VmmInfo = { name: "none", acceleration: "none", reason: "" };

  /** @throws UserError when the outcome is to go into the README and would be of no commit */
  constructor(options: ReportOptions) {
    this.#options = options;
    if (options.readme) requireClean(this.#commit, again(options));
  }

  set vmm(vmm: VmmInfo) {
    this.#vmm = vmm;
  }

  /** Adds a row; without samples it is reported as absent, with the reason. */
  add(name: string, unit: string, samples: readonly number[], whyNone = "nothing was measured"): void {
    if (samples.length === 0) this.#absent.push(`${name}: ${whyNone}`);
    else this.#rows.push(summarize(name, unit, samples));
  }

  /** Something a reader of the figures must know. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** A table of its own below the figures. */
  section(title: string, lines: readonly string[]): void {
    this.#sections.push(["", title, "", ...lines].join("\n"));
  }

  row(name: string): Row | undefined {
    return this.#rows.find((each) => each.name === name);
  }

  /** Everything as text. */
  text(): string {
    const { cpu, cores, memory_mb, kernel, system } = this.#machine;
    const { name, acceleration } = this.#vmm;
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

  /**
   * Prints the report and writes its files. Returns where they are.
   *
   * @throws UserError when the tree was changed meanwhile and the outcome was to go into the README
   */
  finish(): readonly string[] {
    const text = this.text();
    process.stdout.write(`\n${text}\n`);
    const { name, title, readme } = this.#options;
    mkdirSync(RESULTS, { recursive: true });
    const result = {
      commit: describeCommit(this.#commit),
      machine: this.#machine,
      vmm: this.#vmm,
      rows: this.#rows,
    };
    const files = [
      write(`${name}.json`, `${JSON.stringify(result, undefined, 2)}\n`),
      write(`${name}.txt`, `${text}\n`),
      write(`${name}.svg`, plot(title, this.#subtitle(), this.#rows)),
    ];
    process.stdout.write(`\n${files.join("\n")}\n`);
    if (readme) {
      const now = commitOf(ROOT);
      requireClean(now, again(this.#options));
      requireSame(this.#commit, now, again(this.#options));
      writeReadme(name, `\`\`\`text\n${text}\n\`\`\``);
    }
    return files;
  }

  #subtitle(): string {
    return `${this.#machine.cpu}, ${this.#machine.cores} cores; ${this.#vmm.name}, ${this.#vmm.acceleration}`;
  }

  #figures(): string[] {
    if (this.#rows.length === 0) return [];
    const { targets = {}, floor: floorName, uncompared = [] } = this.#options;
    const floor = floorName === undefined ? undefined : this.row(floorName);
    const isCompared = (row: Row) =>
      floor !== undefined && row !== floor && row.unit === floor.unit && !uncompared.includes(row.name);
    const heading = ["", "unit", "n", "p50", "p90", "p99", "max"];
    const body = this.#rows.map((row) => [
      row.name,
      row.unit,
      String(row.n),
      ...[row.p50, row.p90, row.p99, row.max].map(number),
      ...(floor === undefined ? [] : [isCompared(row) ? ratio(row.p50, floor.p50) : ""]),
      verdict(row, targets[row.name]),
    ]);
    return table([[...heading, ...(floor === undefined ? [] : ["p50 to floor"]), "target"], ...body]);
  }
}

function again({ name }: ReportOptions): string {
  return `npm run bench -- ${name} --readme`;
}

/** E.g. `p50 <= 60 ok, p99 <= 150 MISSED`. */
export function verdict(row: Row, target: Target | undefined): string {
  if (target === undefined) return "";
  const says = (name: "p50" | "p99") => {
    const limit = target[name];
    if (limit === undefined) return [];
    const isMet = target.atLeast ? row[name] >= limit : row[name] <= limit;
    return [`${name} ${target.atLeast ? ">=" : "<="} ${limit} ${isMet ? "ok" : "MISSED"}`];
  };
  return [...says("p50"), ...says("p99")].join(", ");
}

function write(file: string, text: string): string {
  const path = join(RESULTS, file);
  replaceFileSync(path, text, 0o644);
  return `bench/results/${file}`;
}
