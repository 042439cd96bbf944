import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostServiceClient } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { call, connect, openStream } from "../../../src/lib/grpc/client.ts";
import { leaveOut } from "../../support/leave-out.ts";
import { hostFolder, KEYS, token } from "./fixture.ts";
import { serveImages, serveScheduler } from "./neighbours.ts";
import { hostdEnvironment, killHostd, spawnHostd } from "./process.ts";
import { createRequest, present } from "./requests.ts";

const SCOPE = { timeoutMs: 20_000 };
const PRELOAD = pathToFileURL(join(import.meta.dirname, "statfs.preload.ts")).href;
const SMALL_MB = 64;
const MB = 2 ** 20;
/** Each poll may make a hold: far apart, and on a host with room for all of them. */
const SOON = { interval: 500 };
const ROOMY = { HOSTD_CPUS: "256", HOSTD_MEMORY_MB: "65536", HOSTD_DISK_MB: "65536" };

/** A disk that can be filled, and the environment in which hostd sees it. */
interface TestDisk {
  readonly environment: Record<string, string>;
  /** Leaves less than the reserve, but not nothing. */
  fill(): void;
  clear(): void;
  close(): void;
}

let images: Awaited<ReturnType<typeof serveImages>>;
let scheduler: Awaited<ReturnType<typeof serveScheduler>>;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  images = await serveImages();
});
beforeEach(async () => {
  scheduler = await serveScheduler();
  cleanups.push(() => scheduler.close());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(async () => {
  await images.close();
});

describe("a host whose disk is almost full", () => {
  test("declines, still starts and stops its machines, and offers again with room", () => tell(saidToBeFull));

  test("does so on a disk that really fills", async (context) => {
    if (!canMount()) leaveOut(context, "only root may mount a small disk");
    await tell(reallyFull);
  });
});

async function tell(open: (folder: string) => TestDisk): Promise<void> {
  const { hostd, disk } = await start(open);
  const id = await create(hostd);
  const status = async () => (await call(hostd, hostd.getHost, {}, SCOPE)).status;
  const answer = async () => {
    const { $case, value } = await scheduler.bid();
    return $case === "offer" ? $case : value;
  };
  expect(await answer()).toBe("offer");
  expect((await status())?.diskFreeMb).toBeGreaterThan((await status())?.diskReserveMb ?? 0n);

  disk.fill();

  await expect
    .poll(answer, SOON)
    .toMatchObject({ reason: "no_disk", largest: { diskMb: 0n, cpus: expect.any(Number) } });
  expect((await status())?.diskFreeMb).toBeLessThan((await status())?.diskReserveMb ?? 0n);
  const request = { machineId: id, org: "" };
  const started = await call(
    hostd,
    hostd.startMachine,
    { leaseNonce: "", ...request, watch: undefined, source: "", fromProxy: false },
    SCOPE,
  );
  const how = {
    ...request,
    signal: "",
    timeout: undefined,
    leaseNonce: "",
    ifUnusedFor: undefined,
    source: "",
    ignoreLease: false,
  };
  const stopped = await call(hostd, hostd.stopMachine, how, SCOPE);
  expect([started, stopped].map(({ machine }) => machine?.state)).toEqual([
    MachineState.STARTED,
    MachineState.STOPPED,
  ]);

  disk.clear();

  await expect.poll(answer, SOON).toBe("offer");
  expect((await status())?.diskFreeMb).toBeGreaterThan((await status())?.diskReserveMb ?? 0n);
}

async function start(open: (folder: string) => TestDisk) {
  const folder = hostFolder();
  cleanups.push(() => folder.remove());
  writeFileSync(join(folder.path, "1.public.pem"), KEYS.publicKey);
  writeFileSync(join(folder.path, "1.private.pem"), KEYS.privateKey);
  const environment = hostdEnvironment(folder.path, { images: images.address });
  mkdirSync(environment.HOSTD_DIR);
  const disk = open(environment.HOSTD_DIR);
  cleanups.push(() => disk.close());
  const neighbours = { HOSTD_SCHEDULERS: scheduler.address };
  const { child, ready } = spawnHostd({ ...environment, ...ROOMY, ...neighbours, ...disk.environment });
  cleanups.push(() => killHostd(child));
  const hostd = connect(HostServiceClient, `127.0.0.1:${await ready}`, { token, ownConnection: true });
  cleanups.push(() => hostd.close());
  return { hostd, disk };
}

async function create(hostd: HostServiceClient): Promise<string> {
  const request = createRequest(await scheduler.auction());
  const { id } = present((await call(hostd, hostd.createMachine, request, SCOPE)).machine);
  for await (const _ of openStream(
    hostd,
    hostd.prepareMachine,
    { machineId: id, credentials: undefined },
    SCOPE,
  )) {
    // Its end is what counts.
  }
  return id;
}

/** The real disk, with a free size that the test sets. */
function saidToBeFull(folder: string): TestDisk {
  const file = join(folder, "..", "free-share");
  const say = (share: number) => writeFileSync(file, String(share));
  say(0.5);
  return {
    environment: { NODE_OPTIONS: `--import=${PRELOAD}`, STATFS_FREE_SHARE_FILE: file },
    fill: () => say(0),
    clear: () => say(0.5),
    close: () => {},
  };
}

/** A small file system in memory. */
function reallyFull(folder: string): TestDisk {
  mount(folder);
  const filler = join(folder, "filler");
  return {
    environment: {},
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - 0.03 * SMALL_MB * MB));
    },
    clear: () => rmSync(filler),
    close: () => execFileSync("umount", ["--lazy", folder]),
  };
}

function mount(folder: string): void {
  const options = `size=${SMALL_MB}m,mode=755`;
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], { stdio: "ignore" });
}

/** Whether this process can mount: in a container root cannot. */
function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "wh-disk-"));
  try {
    mount(folder);
    execFileSync("umount", [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
