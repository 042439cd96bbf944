import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { tool } from "../../tools/lib/paths.ts";
import type { AwardJob, HostJob, HostSettings, HostWord } from "./host-job.ts";

/** A process of simulated hosts; see `hosts.ts`. End it. */
export class HostProcess {
  readonly settings: HostSettings;
  readonly #child: ChildProcess;
  readonly #awards = new Map<number, { resolve: () => void; reject: (err: Error) => void }>();
  #nextId = 1;
  #hear: ((word: HostWord) => void) | undefined;

  constructor(settings: HostSettings) {
    this.settings = settings;
    const file = new URL("./hosts.ts", import.meta.url);
    this.#child = fork(file, [JSON.stringify(settings)], { execPath: tool("node"), execArgv: [] });
    this.#child.on("message", (word: HostWord) => this.#heard(word));
    this.#child.on("exit", () => {
      for (const { reject } of this.#awards.values()) reject(new Error("a process of hosts has ended"));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when all its hosts are attached. */
  async attached(signal: AbortSignal): Promise<void> {
    await this.#word("attached", signal);
  }

  /** Bids, answers and releases that its hosts have had so far. */
  async messages(signal: AbortSignal): Promise<number> {
    this.#send({ kind: "count" });
    const word = await this.#word("counted", signal);
    return word.kind === "counted" ? word.messages : 0;
  }

  /** Turns a hold of one of its hosts into an allocation. */
  award(award: AwardJob): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#awards.set(id, { resolve, reject });
      this.#send({ kind: "award", id, award });
    });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #send(job: HostJob): void {
    this.#child.send(job);
  }

  #heard(word: HostWord): void {
    if (word.kind !== "awarded") {
      this.#hear?.(word);
      return;
    }
    const waiting = this.#awards.get(word.id);
    this.#awards.delete(word.id);
    if (word.problem === undefined) waiting?.resolve();
    else waiting?.reject(new Error(word.problem));
  }

  async #word(kind: HostWord["kind"], signal: AbortSignal): Promise<HostWord> {
    const over = new AbortController();
    const until = { signal: AbortSignal.any([signal, over.signal]) };
    try {
      const ended = once(this.#child, "exit", until).then(() => {
        throw new Error("a process of hosts has ended");
      });
      const said = new Promise<HostWord>((resolve) => {
        this.#hear = (word) => {
          if (word.kind === kind) resolve(word);
        };
      });
      return await Promise.race([said, ended]);
    } finally {
      over.abort();
      this.#hear = undefined;
    }
  }
}
