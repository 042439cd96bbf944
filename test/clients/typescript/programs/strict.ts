// Checked by the compiler, not run: the types as a strict program meets them.
import {
  type Acquired,
  type ExecExit,
  files,
  isWindhoverError,
  type Machine,
  type MachineState,
  Windhover,
  type WindhoverError,
} from "@windhover/client";

export async function use(): Promise<Machine> {
  const windhover = new Windhover({ endpoints: ["127.0.0.1:7070"], token: async () => "t" });
  const config = { image: "nginx", env: { A: "1" }, files: files({ "/a": new Uint8Array(3) }) } as const;
  const machine: Machine = await windhover.machines.create({
    app: "web",
    config,
    placement: { distinctHosts: true },
  });
  const state: MachineState = machine.state;
  // What was read may be written.
  await windhover.machines.update(machine.id, machine.config ?? config);
  for await (const change of windhover.machines.watch({ app: "web" })) {
    const reason: string | undefined = change.event?.reason;
    if (state === "started" && reason === undefined) break;
  }
  const child = await windhover.exec.start(machine.id, ["sh"], {
    stdin: true,
    terminal: { rows: 24, columns: 80 },
  });
  child.stdin.write("exit\n");
  const exit: ExecExit = await child.exit;
  const acquired: Acquired = await windhover.acquire({
    steps: [
      { start: machine.id, timeoutMs: exit.exitCode },
      { launch: { app: "web", config: { image: "nginx" } } },
    ],
  });
  await windhover.leases.withLease(acquired.machine.id, async (held) => {
    await windhover.machines.stop(machine.id, { ...held, graceMs: 5 });
  });
  // @ts-expect-error an app is needed
  await windhover.machines.create({ config });
  // @ts-expect-error no such state
  await windhover.machines.wait(machine.id, { states: ["gone"] });
  // @ts-expect-error a step is one thing
  await windhover.acquire({ steps: [{ begin: machine.id }] });
  return machine;
}

export function reasonOf(err: unknown): string | undefined {
  if (!isWindhoverError(err)) return undefined;
  const known: WindhoverError = err;
  return known.facts["owner"] ?? known.violations[0]?.field ?? known.reason;
}
