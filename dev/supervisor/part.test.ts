import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { identify, isAlive, type ProcessIdentity } from "../../tools/lib/processes.ts";
import { Part, type PartSpec } from "./part.ts";

let folder: string;
let parts: Part[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wh-part-"));
  parts = [];
});

afterEach(async () => {
  await Promise.all(parts.map((each) => each.kill()));
  rmSync(folder, { recursive: true, force: true });
});

test("a process that is killed is started again", async () => {
  const part = make("echo $$ > ready; exec sleep 60");
  await part.start();
  const first = part.process;

  await part.crash();
  await part.whenReady(15_000);

  expect(part.process).not.toEqual(first);
  expect(part.restarts).toBe(1);
});

test("one that keeps crashing before it is ready is reported with the end of its log", async () => {
  const part = make("echo no luck today; exit 3");

  await expect(part.start()).rejects.toThrow(/ends as soon as it is started.*no luck today/s);

  expect(part.state).toBe("stopped");
});

test("one that is not ready in time is reported, and does not go on", async () => {
  const seen = new Set<ProcessIdentity>();
  const part = make("exec sleep 60", { readyTimeoutMs: 200 });
  part.on("change", () => part.process && seen.add(part.process));

  await expect(part.start()).rejects.toThrow(/not ready in time/);

  expect([...seen].map(isAlive)).toEqual([false]);
});

test("one that ignores the request to end is killed after its grace", async () => {
  const part = make("trap '' TERM; echo $$ > ready; while :; do sleep 60; done", { stopGraceMs: 100 });
  await part.start();
  const child = part.process;

  await part.stop();

  expect(child && isAlive(child)).toBe(false);
  expect(part.state).toBe("stopped");
});

test("an aborted start leaves no process", async () => {
  const part = make("exec sleep 60");
  const abort = new AbortController();
  const starting = part.start(abort.signal);
  starting.catch(() => undefined);
  await expect.poll(() => part.process).toBeDefined();
  const child = part.process;

  abort.abort(new Error("called off"));

  await expect(starting).rejects.toThrow("called off");
  expect(child && isAlive(child)).toBe(false);
});

test("a process finds its folder open, and ends when its supervisor is killed", async () => {
  const program = `
    import { Part } from ${JSON.stringify(join(import.meta.dirname, "part.ts"))};
    import { existsSync } from "node:fs";
    const part = new Part({ ...${JSON.stringify(spec("cd /proc/self/fd/3 && echo $$ > pid && mv pid ready; exec sleep 60"))},
      openFolder: ${JSON.stringify(folder)},
      ready: async () => { if (!existsSync(${JSON.stringify(join(folder, "ready"))})) throw new Error(); } });
    await part.start();
    console.log("up");`;
  const supervisor = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  await once(supervisor.stdout, "data");
  const child = identify(Number(readFileSync(join(folder, "ready"), "utf8")));

  supervisor.kill("SIGKILL");

  expect(child).toBeDefined();
  await expect.poll(() => child && isAlive(child)).toBe(false);
});

function make(script: string, changes: Partial<PartSpec> = {}): Part {
  const part = new Part({
    ...spec(script),
    ready: async () => {
      if (!existsSync(join(folder, "ready"))) throw new Error("not yet");
    },
    prepare: async () => rmSync(join(folder, "ready"), { force: true }),
    ...changes,
  });
  parts.push(part);
  return part;
}

function spec(script: string): Omit<PartSpec, "ready"> {
  return {
    name: "part",
    command: ["/bin/sh", "-c", script],
    environment: { PATH: "/usr/bin:/bin" },
    workingDirectory: folder,
    logFile: join(folder, "log"),
    stopSignal: "SIGTERM",
    stopGraceMs: 1_000,
    orphanSignal: "SIGKILL",
    readyTimeoutMs: 15_000,
  };
}
