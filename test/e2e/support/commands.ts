import type { ExecRequest, ExecSession } from "../../../src/hostd/vmm/exec.ts";
import type { Vm } from "../../../src/hostd/vmm/vmm.ts";
import type { Bench } from "./fixture.ts";

export const NEVER = new AbortController().signal;

export type CommandOptions = Partial<ExecRequest> & { readonly input?: string | Buffer };

/** Launches a VM whose program belongs to the user `web` and exits with 3 on SIGTERM. */
export async function launchProgram(bench: Bench): Promise<Vm> {
  const more = { user: "web", env: { COLOR: "blue" }, workingDir: "/data", hostname: "kestrel" };
  const script = "trap 'exit 3' TERM; while :; do sleep 1000 & wait; done";
  return (await bench.launch(["sh", "-c", script], more)).vm;
}

/** Begins a command. */
export function openCommand(
  vm: Vm,
  argv: readonly string[],
  { input: _, ...more }: CommandOptions = {},
): Promise<ExecSession> {
  return vm.exec({ argv, env: {}, stdin: false, ...more }, NEVER);
}

/** Collects the output of a command, until it ends. */
export async function outcome(session: ExecSession) {
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, bytes } of session.output) parts[stream].push(bytes);
  const stdout = Buffer.concat(parts.stdout);
  return {
    stdout: stdout.toString(),
    bytes: stdout.length,
    stderr: Buffer.concat(parts.stderr).toString(),
    end: await session.ended,
  };
}

/** Runs a command to its end. */
export async function runCommand(vm: Vm, argv: readonly string[], options: CommandOptions = {}) {
  const { input } = options;
  const session = await openCommand(vm, argv, { ...options, stdin: input !== undefined });
  const feed = async () => {
    if (input === undefined) return;
    await session.write(Buffer.from(input));
    session.endInput();
  };
  const [result] = await Promise.all([outcome(session), feed()]);
  return result;
}

/** Reads output until it contains a text. */
export async function readUntil(output: AsyncIterator<{ bytes: Buffer }>, text: string): Promise<string> {
  let read = "";
  while (!read.includes(text)) {
    const next = await output.next();
    if (next.done === true) throw new Error(`the output ended: ${JSON.stringify(read)}`);
    read += next.value.bytes.toString();
  }
  return read;
}
