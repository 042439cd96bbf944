import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LogStore } from "../../../src/hostd/logs/log-store.ts";
import type { LogLine, ResumeFrom, Vm, Workload } from "../../../src/hostd/vmm/vmm.ts";
import { type Bench, openBench, openVmm, plainWorkload } from "../support/fixture.ts";
import { WarmPool } from "../support/warm-pool.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const MAX_BYTES = (SHAPE.memoryMb + 64) * 1024 * 1024;
const WAIT = { timeout: 60_000, interval: 50 };

let bench: Bench;
beforeAll(async () => {
  bench = await openBench({ startPaths: ["cold"] });
});
afterAll(() => bench?.close());

/**
 * Counts in memory and on the disk, and prints: both counts, something random, the time, and what
 * the hook has left.
 */
const COUNT = [
  "i=0; touch /data/lines /data/hook",
  "while true; do i=$((i+1)); echo line >> /data/lines; touch /data/now",
  'echo "$i $(wc -l < /data/lines) $(head -c 8 /dev/urandom | hexdump -v -e \'8/1 "%02x"\') $(stat -c %Y /data/now) $(cat /data/hook)"',
  "sleep 0.2; done",
].join("; ");

function save(vmId: string, name: string, goesOn: boolean, signal = new AbortController().signal) {
  return bench.vmm.save?.(
    vmId,
    { name, goesOn, shape: SHAPE, rootfs: bench.image, maxBytes: MAX_BYTES },
    signal,
  );
}

let launches = 0;
async function resume(resumeFrom: ResumeFrom, lines: LogLine[], more: Partial<Workload> = {}): Promise<Vm> {
  const sink = { onLog: (line: LogLine) => void lines.push(line) };
  const workload = { ...plainWorkload(bench.image, ["true"]), ...more };
  const vmId = `resumed-${++launches}`;
  return bench.vmm.launch({ vmId, shape: SHAPE, workload, sink, resumeFrom }, new AbortController().signal);
}

/** Reads what the program prints. */
function counts(lines: readonly LogLine[]) {
  return lines.map(({ text, number }) => {
    const [memory, disk, random, seconds, hook = ""] = text.split(" ");
    return { memory: Number(memory), disk: Number(disk), random, seconds: Number(seconds), hook, number };
  });
}

test("a suspended program goes on where it was, with its memory, its disk and the numbers of its lines", async () => {
  const { vm, lines } = await bench.launch(["sh", "-c", COUNT]);
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(2);

  const saved = await save(vm.id, vm.id, false);
  const before = lines.length;
  const folder = join(bench.dir, "saved", vm.id);
  expect(saved?.bytes).toBeLessThan(SHAPE.memoryMb * 1024 * 1024);
  for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  await bench.vmm.destroy(vm.id);
  const resumed = await resume({ name: vm.id, isKept: false }, lines);

  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(before + 2);
  expect(resumed.startPath).toBe("resume");
  const expected = lines.map((_, index) => index + 1);
  expect(counts(lines).map(({ memory }) => memory)).toEqual(expected);
  expect(counts(lines).map(({ disk }) => disk)).toEqual(expected);
  expect(lines.map(({ number }) => number)).toEqual(expected);
  expect(Math.abs((counts(lines).at(-1)?.seconds ?? 0) - Date.now() / 1_000)).toBeLessThan(10);
  expect(bench.vmm.hasSaved?.(vm.id)).toBe(false);
  await bench.vmm.destroy(resumed.id);
});

test("each start from a snapshot is the same moment, with other randomness, after the hook of the image", async () => {
  const hook = {
    path: "/.fly/restore",
    content: Buffer.from("#!/bin/sh\necho ran > /data/hook\n"),
    mode: 0o755,
  };
  const first = await bench.launch(["sh", "-c", COUNT], { files: [hook] });
  await expect.poll(() => first.lines.length, WAIT).toBeGreaterThan(2);

  await save(first.vm.id, "ready", true);

  const before = first.lines.length;
  await expect.poll(() => first.lines.length, WAIT).toBeGreaterThan(before + 1);
  await bench.vmm.destroy(first.vm.id);
  const runs: ReturnType<typeof counts>[] = [];
  for (let run = 0; run < 2; run++) {
    const lines: LogLine[] = [];
    const vm = await resume({ name: "ready", isKept: true }, lines);
    expect(vm.startPath).toBe("snapshot");
    await expect.poll(() => lines.length, WAIT).toBeGreaterThan(3);
    await bench.vmm.destroy(vm.id);
    runs.push(counts(lines));
  }

  const [one = [], two = []] = runs;
  // The line that was being made at the save is the same.
  expect(two[0]).toMatchObject({ memory: one[0]?.memory, disk: one[0]?.disk });
  expect(two.map(({ disk, memory }) => disk - memory)).toEqual(two.map(() => 0));
  expect(one[2]?.random).not.toBe(two[2]?.random);
  expect(one[2]?.hook).toBe("ran");
  expect(bench.vmm.hasSaved?.("ready")).toBe(true);
  await bench.vmm.dropSaved?.("ready");
  expect(readdirSync(join(bench.dir, "saved"))).toEqual([]);
});

test("a program is started anew when its hook fails", async () => {
  const hook = { path: "/.fly/restore", content: Buffer.from("#!/bin/sh\nexit 3\n"), mode: 0o755 };
  const { vm, lines } = await bench.launch(["sh", "-c", COUNT], { files: [hook] });
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(1);
  await save(vm.id, vm.id, false);
  await bench.vmm.destroy(vm.id);

  const again: LogLine[] = [];
  const resumed = await resume({ name: vm.id, isKept: false }, again, { argv: ["sh", "-c", "echo anew"] });
  await resumed.exited;

  expect(resumed.startPath).toBe("cold");
  expect(resumed.resumeFailure).toContain("/.fly/restore failed: code 3");
  expect(again.map(({ text }) => text)).toEqual(["anew"]);
  await bench.vmm.destroy(resumed.id);
});

test("the log of a machine has each line of a suspended program once", async () => {
  const limits = { machineKb: 1_024, orgKb: 4_096 };
  const logs = new LogStore({ dir: join(bench.dir, "logs"), limits, owners: [], onDeath: () => {} });
  const sink = logs.sink({ id: "m", org: "acme" });
  const { signal } = new AbortController();
  const texts = async (): Promise<string[]> => {
    const found: string[] = [];
    const query = { tail: undefined, afterSequence: 0, follow: false, signal };
    for await (const read of logs.read("m", query)) found.push(...read.map(({ text }) => text));
    return found;
  };
  const request = { vmId: "logged", shape: SHAPE, sink };
  await bench.vmm.launch({ ...request, workload: plainWorkload(bench.image, ["probe", "tick"]) }, signal);
  await expect.poll(async () => (await texts()).length, WAIT).toBeGreaterThan(20);

  await save("logged", "logged", false);
  await bench.vmm.destroy("logged");
  await sink.onLog({ timeUs: Date.now() * 1_000, stream: "system", text: "a line of the host" });
  const before = (await texts()).length;
  const workload = plainWorkload(bench.image, ["true"]);
  const resumeFrom = { name: "logged", isKept: false };
  const resumed = await bench.vmm.launch({ ...request, vmId: "logged-again", workload, resumeFrom }, signal);

  await expect.poll(async () => (await texts()).length, WAIT).toBeGreaterThan(before + 20);
  const ticks = (await texts()).filter((text) => text.startsWith("tick"));
  expect(resumed.startPath).toBe("resume");
  expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
  await bench.vmm.destroy(resumed.id);
  await logs.close();
});

test("connections with others end at a suspend, and their program reads the end", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => {}).resume()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  const { vm } = await bench.launch(["probe", "fetch", "10.0.2.2", port]);
  // The host has a connection before the guest knows that it has.
  await expect.poll(() => sockets[0]?.bytesRead ?? 0, WAIT).toBeGreaterThan(0);
  const ended = once(sockets[0] ?? server, "end");

  await save(vm.id, vm.id, false);
  await ended;
  await bench.vmm.destroy(vm.id);
  const resumed = await resume({ name: vm.id, isKept: false }, []);

  expect(resumed.startPath).toBe("resume");
  expect(await resumed.exited).toMatchObject({ kind: "process", exitCode: 0 });
  await bench.vmm.destroy(resumed.id);
  server.close();
});

test("a program whose save is called off goes on in its VM, and no command of a save goes on", async () => {
  const { vm, lines } = await bench.launch(["sh", "-c", COUNT]);
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(1);
  const command = await vm.exec(
    { argv: ["sleep", "100"], env: {}, stdin: false },
    new AbortController().signal,
  );
  const abort = new AbortController();

  const saving = save(vm.id, vm.id, false, abort.signal);
  abort.abort(new Error("called off"));

  await expect(saving).rejects.toThrow("called off");
  expect(await command.ended).toMatchObject({ kind: "interrupted" });
  const before = lines.length;
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(before + 1);
  expect(counts(lines).map(({ memory }) => memory)).toEqual(lines.map((_, index) => index + 1));
  expect(readdirSync(join(bench.dir, "saved"))).toEqual([]);
  await bench.vmm.destroy(vm.id);
});

test("the next hostd lets a program go on whose save was cut off", async () => {
  const own = await openBench({ startPaths: ["cold"] });
  const { vm, lines } = await own.launch(["sh", "-c", COUNT]);
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(1);
  const options = { name: vm.id, goesOn: false, shape: SHAPE, rootfs: own.image, maxBytes: MAX_BYTES };
  const cutOff = own.vmm.save?.(vm.id, options, new AbortController().signal).catch(() => "cut off");
  await expect
    .poll(() => existsSync(join(own.dir, "vms", vm.id, "saving")), { ...WAIT, interval: 1 })
    .toBe(true);
  await own.vmm.close();
  expect(await cutOff).toBe("cut off");

  const next = await openVmm(own.dir, { startPaths: ["cold"] });
  const adopted = await next.adopt(vm.id, { onLog: (line) => void lines.push(line) });

  expect(adopted?.id).toBe(vm.id);
  const before = lines.length;
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(before + 1);
  const numbers = [...new Set(counts(lines).map(({ memory }) => memory))];
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(readdirSync(join(own.dir, "saved"))).toEqual([]);
  await next.destroy(vm.id);
  await next.close();
  await own.close();
});

test("a machine that began in a warm VM is saved as any other", async () => {
  const pool = await WarmPool.open();
  const { bench: own } = pool;
  await pool.fill(1);
  const { vm, lines } = await own.launch(["sh", "-c", COUNT]);
  expect(vm.startPath).toBe("warm");
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(1);
  const options = { name: vm.id, goesOn: false, shape: SHAPE, rootfs: own.image, maxBytes: MAX_BYTES };
  await own.vmm.save?.(vm.id, options, new AbortController().signal);
  await own.vmm.destroy(vm.id);

  const before = lines.length;
  const resumed = await own.vmm.launch(
    {
      ...{ vmId: "resumed", shape: SHAPE, workload: plainWorkload(own.image, ["true"]) },
      sink: { onLog: (line) => void lines.push(line) },
      resumeFrom: { name: vm.id, isKept: false },
    },
    new AbortController().signal,
  );

  expect(resumed).toMatchObject({ startPath: "resume", resumeFailure: undefined });
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(before + 2);
  const expected = lines.map((_, index) => index + 1);
  expect(counts(lines).map(({ memory }) => memory)).toEqual(expected);
  expect(counts(lines).map(({ disk }) => disk)).toEqual(expected);
  await own.close();
});
