import { sleep } from "../../../lib/runtime/wait.ts";
import type { ExecOutput, ExecRequest, TerminalSize } from "../exec.ts";

/** What a simulated program sees. Everything rejects once the program is killed. */
export interface SimConsole {
  readonly request: ExecRequest;
  /** Of its terminal; undefined without one. */
  readonly size: TerminalSize | undefined;
  readonly killed: AbortSignal;
  /** Resolves when there is room. */
  print(stream: ExecOutput["stream"], bytes: Buffer): Promise<void>;
  /** Undefined: the input has ended. */
  readInput(): Promise<Buffer | undefined>;
  resized(): Promise<void>;
}

type SimProgram = (console: SimConsole) => Promise<number>;

const CHUNK = 16 * 1024;

/**
 * The programs of a simulated guest: `echo WORDS`, `err WORDS` (to stderr), `cat`, `true`, `false`,
 * `exit CODE`, `sleep SECONDS`, `flood BYTES`, `env`, `pwd`, `whoami`, `sizes` (the terminal's, and
 * each new one).
 */
export const simPrograms: Readonly<Record<string, SimProgram>> = Object.assign(Object.create(null), {
  echo: async (console: SimConsole) => print(console, "stdout", words(console)),
  err: async (console: SimConsole) => print(console, "stderr", words(console)),
  true: async () => 0,
  false: async () => 1,
  exit: async ({ request }: SimConsole) => Number(request.argv[1] ?? 0),
  env: async (console: SimConsole) =>
    print(
      console,
      "stdout",
      Object.entries(console.request.env)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    ),
  pwd: async (console: SimConsole) => print(console, "stdout", `${console.request.workingDir ?? "/"}\n`),
  whoami: async (console: SimConsole) => print(console, "stdout", `${console.request.user ?? "root"}\n`),
  async cat(console: SimConsole) {
    for (let part = await console.readInput(); part; part = await console.readInput())
      await console.print("stdout", part);
    return 0;
  },
  async sleep(console: SimConsole) {
    await sleep(Number(console.request.argv[1] ?? 0) * 1_000, console.killed, { ref: false });
    console.killed.throwIfAborted();
    return 0;
  },
  async flood(console: SimConsole) {
    for (let left = Number(console.request.argv[1] ?? 0); left > 0; left -= CHUNK)
      await console.print("stdout", Buffer.alloc(Math.min(CHUNK, left), "x"));
    return 0;
  },
  async sizes(console: SimConsole) {
    for (;;) {
      const { rows = 0, columns = 0 } = console.size ?? {};
      await console.print("stdout", Buffer.from(`${rows} ${columns}\n`));
      await console.resized();
    }
  },
});

function words({ request }: SimConsole): string {
  return `${request.argv.slice(1).join(" ")}\n`;
}

async function print(console: SimConsole, stream: ExecOutput["stream"], text: string): Promise<number> {
  await console.print(stream, Buffer.from(text));
  return 0;
}
