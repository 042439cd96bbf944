import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { VmSink } from "../vmm.ts";
import { SimVmm } from "./sim-vmm.ts";

let dir: string;
const NEVER = new AbortController().signal;
const SINK = { onLog: () => {} };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-sim-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Launch {
  readonly vmId?: string;
  readonly sink?: VmSink;
  readonly signal?: AbortSignal;
  readonly stored?: Promise<void>;
}

function launch(
  vmm: SimVmm,
  argv: readonly string[],
  { vmId = "v1", sink = SINK, signal = NEVER, ...more }: Launch = {},
) {
  const workload = { rootfs: "/x", argv, env: {}, user: "", workingDir: "/", hostname: "m", ports: [] };
  const shape = { cpus: 1, memoryMb: 256 };
  return vmm.launch({ vmId, shape, workload, sink, ...more }, signal);
}

describe("a simulated VM", () => {
  test("runs until it gets a signal, and reports which", async () => {
    const vmm = new SimVmm({ dir });
    const vm = await launch(vmm, ["/bin/server"]);

    await vm.signal(15);

    expect(await vm.exited).toMatchObject({ kind: "process", signal: 15 });
  });

  test("ends by itself as its script says", async () => {
    const vmm = new SimVmm({ dir });

    const exit = await launch(vmm, ["sim-exit", "3", "sim-run-for", "5"]);
    const oom = await launch(vmm, ["sim-oom"], { vmId: "v2" });
    const lost = await launch(vmm, ["sim-lost"], { vmId: "v3" });

    expect(await exit.exited).toMatchObject({ kind: "process", exitCode: 3, oomKilled: false });
    expect(await oom.exited).toMatchObject({ kind: "process", signal: 9, oomKilled: true });
    expect(await lost.exited).toMatchObject({ kind: "vm_lost" });
  });

  test("may ignore a signal, but not SIGKILL", async () => {
    const vmm = new SimVmm({ dir });
    const vm = await launch(vmm, ["sim-signal-ignore"]);

    await vm.signal(15);
    await vm.signal(9);

    expect(await vm.exited).toMatchObject({ signal: 9 });
  });

  test("is listed until it is destroyed", async () => {
    const vmm = new SimVmm({ dir });
    const vm = await launch(vmm, ["x"]);

    expect(await vmm.list()).toEqual(["v1"]);
    await vmm.destroy("v1");
    await vmm.destroy("v1");

    expect(await vmm.list()).toEqual([]);
    expect(await vm.exited).toMatchObject({ kind: "vm_lost" });
  });
});

describe("after a restart", () => {
  test("one that still runs is adopted, and gets signals", async () => {
    await launch(new SimVmm({ dir }), ["x"]);

    const vm = await new SimVmm({ dir }).adopt("v1", SINK);
    await vm?.signal(2);

    expect(await vm?.exited).toMatchObject({ signal: 2 });
  });

  test("the exit of one that ended meanwhile is the true one, at its true time", async () => {
    const before = new SimVmm({ dir });
    const vm = await launch(before, ["sim-exit", "7", "sim-run-for", "1"]);
    await before.close();

    const exit = await (await new SimVmm({ dir }).adopt("v1", SINK))?.exited;

    expect(exit).toMatchObject({ exitCode: 7, exitedAtUs: vm.startedAtUs + 1_000 });
  });

  test("one that did not start is gone, and an unknown one too", async () => {
    const abort = new AbortController();
    const launching = launch(new SimVmm({ dir }), ["sim-hang"], { signal: abort.signal });
    const after = new SimVmm({ dir });
    await expect.poll(() => after.list()).toEqual(["v1"]);

    expect(await after.adopt("v1", SINK)).toBeUndefined();
    expect(await after.adopt("v2", SINK)).toBeUndefined();
    expect(await after.list()).toEqual([]);
    abort.abort();
    await expect(launching).rejects.toMatchObject({ kind: "timeout" });
  });
});

describe("a launch that fails leaves nothing behind", () => {
  test.each([
    ["exec", ["sim-exec-fail", "not_executable"], { kind: "exec", reason: "not_executable" }],
    ["vmm", ["sim-vmm-fail"], { kind: "vmm" }],
  ])("%s", async (_, argv, expected) => {
    const vmm = new SimVmm({ dir });

    await expect(launch(vmm, argv)).rejects.toMatchObject(expected);

    expect(await vmm.list()).toEqual([]);
  });

  test("injected", async () => {
    const vmm = new SimVmm({ dir });
    vmm.failNext("launch");

    await expect(launch(vmm, ["x"])).rejects.toMatchObject({
      reason: "injected",
    });

    expect(await vmm.list()).toEqual([]);
  });
});

describe("a launch whose start is being stored", () => {
  const refused = new Error("refused");

  test("runs nothing before it is", async () => {
    const lines: string[] = [];
    const sink = { onLog: ({ text }: { text: string }) => void lines.push(text) };
    const stored = Promise.withResolvers<void>();
    const vmm = new SimVmm({ dir });
    const launching = launch(vmm, ["sim-log", "1"], { sink, stored: stored.promise });
    await expect.poll(() => vmm.list()).toEqual(["v1"]);
    expect(lines).toEqual([]);

    stored.resolve();

    expect((await launching).id).toBe("v1");
    await expect.poll(() => lines).toEqual(["line 1"]);
  });

  test("fails without having run when it cannot be stored", async () => {
    const lines: string[] = [];
    const sink = { onLog: ({ text }: { text: string }) => void lines.push(text) };
    const vmm = new SimVmm({ dir });

    const launching = launch(vmm, ["sim-log", "1"], { sink, stored: Promise.reject(refused) });

    await expect(launching).rejects.toMatchObject({ kind: "vmm", reason: "not_stored", cause: refused });
    expect(await vmm.list()).toEqual([]);
    expect(lines).toEqual([]);
  });

  test("can be aborted meanwhile", async () => {
    const abort = new AbortController();
    const vmm = new SimVmm({ dir });
    const launching = launch(vmm, ["x"], { signal: abort.signal, stored: new Promise(() => {}) });
    await expect.poll(() => vmm.list()).toEqual(["v1"]);

    abort.abort();

    await expect(launching).rejects.toMatchObject({ kind: "timeout", reason: "aborted" });
    expect(await vmm.list()).toEqual([]);
  });
});

test("writes the lines its script says", async () => {
  const lines: string[] = [];
  const sink = { onLog: ({ text }: { text: string }) => void lines.push(text) };

  await launch(new SimVmm({ dir }), ["sim-log", "3"], { sink });

  await expect.poll(() => lines).toEqual(["line 1", "line 2", "line 3"]);
});
