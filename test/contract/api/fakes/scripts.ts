/** What a script does to a call: throw a fault, wait, look at something. */
export type Script = (machineId: string) => void | Promise<void>;

type When = "before" | "after";

/** The scripts that the next calls of a fake service run, in their order. */
export class Scripts {
  readonly #scripts: { method: string; script: Script; when: When; times: number }[] = [];

  add(method: string, when: When, script: Script, times: number): void {
    this.#scripts.push({ method, script, when, times });
  }

  /** Runs the first script of `method` that is to run again. */
  async run(method: string, when: When, machineId = ""): Promise<void> {
    const script = this.#scripts.find((one) => one.method === method && one.when === when && one.times > 0);
    if (!script) return;
    script.times -= 1;
    await script.script(machineId);
  }

  clear(): void {
    this.#scripts.length = 0;
  }
}
