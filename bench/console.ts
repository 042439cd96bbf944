/**
 * Measures how fast the console answers: from the start of its process until it has read the store,
 * and each query of the page over 1,000, 10,000 and 100,000 operations.
 *
 * `npm run bench -- console [--runs N]`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../dev/settings/ports.ts";
import { mintToken } from "../src/lib/auth/auth.ts";
import { generateKeyPair } from "../src/lib/auth/keys.ts";
import { busyFleet } from "../test/support/console/busy-fleet.ts";
import { TraceDatabase } from "../test/support/console/trace-database.ts";
import { ROOT, tool } from "../tools/lib/paths.ts";
import { benchmark, type Run, timed } from "./lib/benchmark.ts";

const SIZES = [1_000, 10_000, 100_000] as const;
const HOURS = 24;

/** Queries by the names of their rows. `BOX` is a part of the heat map. */
const QUERIES = {
  overview: "/api/overview?kind=all&since=25h",
  overview_host: "/api/overview?since=25h&host=host-13",
  overview_box: "/api/overview?since=25h&box=BOX",
  differences: "/api/differences?since=25h&box=BOX",
  compare: `/api/compare?${new URLSearchParams({ a: "kind=all&since=25h&version=1.0.0", b: "kind=all&since=25h&version=1.1.0" })}`,
  by_host: "/api/latency?kind=all&since=25h&by=host",
  values: "/api/values?kind=all&since=25h",
} as const;

await benchmark(
  {
    name: "console",
    title: "Queries of the console, from the request to the whole answer",
    defaultRuns: 100,
    targets: {
      overview_100000: { p50: 100, p99: 300 },
      overview_host_100000: { p50: 100, p99: 300 },
      overview_box_100000: { p50: 100, p99: 300 },
      compare_100000: { p99: 300 },
    },
  },
  async (run) => {
    for (const size of SIZES) await measure(run, size);
  },
);

async function measure(run: Run, size: number): Promise<void> {
  const endMs = Date.now() - 1_000;
  const folder = join(run.folder, String(size));
  const database = new TraceDatabase(join(folder, "traces"));
  await run.progress.step(`${size} operations`, async () =>
    database.addOperations(busyFleet(size, HOURS, endMs)),
  );
  database.close();
  const { process: child, url, authorization, readMs } = await startConsole(folder, size);
  try {
    run.report.add(`read_${size}`, "ms", [readMs]);
    const box = [endMs - HOURS * 3_600_000, endMs, 100_000, 170_000].join();
    for (const [name, path] of Object.entries(QUERIES)) {
      const ask = async () => {
        const answer = await fetch(`${url}${path.replace("BOX", box)}`, { headers: { authorization } });
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${path} was answered by ${answer.status}: ${text}`);
        return text;
      };
      const once = async () => {
        // An organisation may ask 40 times a second.
        await delay(25);
        return timed(ask);
      };
      run.report.add(`${name}_${size}`, "ms", await run.repeat(`${name} of ${size}`, run.runs, once, 3));
    }
    run.report.add(`memory_${size}`, "MB", [residentMb(child.pid ?? 0)]);
  } finally {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
}

/** Starts a console as a process. Resolves when it has read the whole store. */
async function startConsole(folder: string, size: number) {
  const keys = generateKeyPair();
  const keysDir = join(folder, "keys");
  mkdirSync(keysDir, { mode: 0o700 });
  writeFileSync(join(keysDir, "1.public.pem"), keys.publicKey, { mode: 0o600 });
  const grant = { subject: "bench", org: "ops", scopes: ["admin"] } as const;
  const authorization = `Bearer ${await mintToken(keys.privateKey, grant, 3_600)}`;
  const [port = 0] = await freePorts(1);
  const startedMs = performance.now();
  const child = spawn(tool("node"), [join(ROOT, "src/console/main.ts")], {
    env: {
      PATH: process.env["PATH"],
      CONSOLE_LISTEN: `127.0.0.1:${port}`,
      CONSOLE_TRACES_DIR: join(folder, "traces"),
      CONSOLE_OPERATIONS: String(Math.max(1_000, size)),
      TOKEN_KEYS_DIR: keysDir,
    },
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await isLoaded(url))) {
    if (child.exitCode !== null) throw new Error(`the console has ended with ${child.exitCode}`);
    await delay(5);
  }
  return { process: child, url, authorization, readMs: performance.now() - startedMs };
}

async function isLoaded(url: string): Promise<boolean> {
  try {
    return Object(await (await fetch(`${url}/healthz`)).json())["is_loaded"] === true;
  } catch {
    return false;
  }
}

function residentMb(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1_024;
}
