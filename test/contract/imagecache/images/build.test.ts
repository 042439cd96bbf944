import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type EnsureImageResponse,
  PullPhase,
} from "../../../../src/gen/windhover/imagecache/v1/imagecache.ts";
import { namespaceProblem } from "../../../../src/lib/confinement/user-namespaces.ts";
import type { Fault } from "../../../../src/lib/faults/fault.ts";
import { registry as metrics } from "../../../../src/lib/otel/metrics.ts";
import { leaveOut } from "../../../support/leave-out.ts";
import { type BuiltImage, buildImage, FakeRegistry, type TarEntry } from "../../../support/oci/index.ts";
import { metric } from "../../../support/telemetry/metrics-page.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { openEnsure, publishTo, startImageCache } from "../fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());
const compiled = temporaryFolder("compiled");
afterAll(() => compiled.remove());
afterEach(() => metrics.resetMetrics());

const MIB = 1024 * 1024;

function add(name: string, image: BuiltImage): string {
  registry.add(name, "latest", image);
  return `${registry.host}/${name}:latest`;
}

function refused(pull: Promise<unknown>): Promise<Fault> {
  return pull.then(
    () => expect.fail("the image was accepted"),
    (err) => err,
  );
}

let slow: BuiltImage | undefined;

/** An image that takes a while. */
function slowImage(): BuiltImage {
  slow ??= buildImage({
    layers: [[{ path: "zeros", content: Buffer.alloc(800 * MIB) }]],
    compression: (tar) => zstdCompressSync(tar),
  });
  return slow;
}

/** Processes that this one has started, and those that they have. */
function descendants(pid: number | string = "self"): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    return read(`/proc/${pid}/task/${task}/children`).split(" ").filter(Boolean).map(Number);
  });
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Empty when the process has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Waits for a process of a build. */
async function find(program: RegExp): Promise<number> {
  let found: number | undefined;
  await expect
    .poll(() => {
      found = descendants().find((pid) => program.test(read(`/proc/${pid}/cmdline`).replaceAll("\0", " ")));
      return found;
    })
    .toBeDefined();
  return found ?? 0;
}

/** Iterates the progress of a pull until a layer has been read in part. */
async function isFlattening(stream: AsyncGenerator<EnsureImageResponse>): Promise<void> {
  for (;;) {
    const { event } = (await stream.next()).value ?? {};
    if (event?.$case !== "progress") throw new Error("the image was made before it could fail");
    if (event.value.phase === PullPhase.FLATTENING && event.value.bytesDone > 0n) return;
  }
}

async function drain(stream: AsyncGenerator<EnsureImageResponse>): Promise<void> {
  for await (const _ of stream);
}

describe("an image that makes its build fail", () => {
  const symlinks = Array.from({ length: 12_000 }, (_, i): TarEntry => {
    return { path: `${i % 100}/${i}`, type: "symlink", link: "x".repeat(4_000) };
  });
  test.each<[string, BuiltImage, { buildMemoryBytes?: number; buildTimeoutMs?: number }, string]>([
    ["memory", buildImage({ layers: [symlinks] }), { buildMemoryBytes: 32 * MIB }, "32 MiB of memory"],
    ["time", buildImage({ layers: [[{ path: "a" }]] }), { buildTimeoutMs: 1 }, "1 s"],
  ])(
    "by %s is refused with the limit, at once when it comes again, and others are made",
    async (what, image, options, limit) => {
      await using cache = await startImageCache(options);
      const reference = add(`too-much-${what}`, image);

      const first = await refused(cache.ensure(reference, image.digest, "m1"));
      const requests = registry.requests.length;
      const second = await refused(cache.ensure(reference, image.digest, "m2"));

      expect(first).toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: "IMAGE_BUILD_FAILED",
        facts: { limit },
      });
      expect(first.message).toContain(reference);
      expect(second).toMatchObject({ code: first.code, reason: first.reason, facts: { limit } });
      expect(registry.requests.length).toBe(requests);
      expect(await metric("windhover_image_build_failures_total", { reason: "IMAGE_BUILD_FAILED" })).toBe(1);
      expect(readdirSync(join(cache.dir, "tmp"))).toEqual([]);
    },
  );

  test("by a crash is refused, and others are made", async () => {
    await using cache = await startImageCache();
    const image = slowImage();
    const stream = openEnsure(cache.client, add("crash", image), image.digest);
    await isFlattening(stream);

    process.kill(await find(/^\S*node .*child\.ts/), "SIGSEGV");

    expect(await refused(drain(stream))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_BUILD_FAILED",
      facts: { limit: "no crash (SIGSEGV)" },
    });
    const other = publishTo(registry, "after-crash");
    expect((await cache.ensure(other.reference, other.image.digest)).ready.wasCached).toBe(false);
  });

  test("is not blamed when its process is stopped, as service managers stop all of a service", async () => {
    await using cache = await startImageCache();
    const image = slowImage();
    const reference = add("stopped", image);
    const stream = openEnsure(cache.client, reference, image.digest);
    await isFlattening(stream);

    process.kill(await find(/^\S*node .*child\.ts/), "SIGTERM");

    expect(await refused(drain(stream))).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
    expect((await cache.ensure(reference, image.digest)).ready.wasCached).toBe(false);
  });

  test("is not blamed when its last caller goes", async () => {
    await using cache = await startImageCache();
    const image = slowImage();
    const reference = add("left", image);
    const stream = openEnsure(cache.client, reference, image.digest);
    await isFlattening(stream);

    await stream.return(undefined);

    await expect
      .poll(() => descendants().filter((pid) => /child\.ts/.test(read(`/proc/${pid}/cmdline`))))
      .toEqual([]);
    expect((await cache.ensure(reference, image.digest)).ready.wasCached).toBe(false);
  });
});

describe("a build is confined", async () => {
  const problem = await namespaceProblem();

  test("it sees programs, our code and its own files, and has no network and no secret", async (context) => {
    if (problem !== undefined) leaveOut(context, problem);
    await using cache = await startImageCache();
    const image = slowImage();
    const building = cache.ensure(add("confined", image), image.digest);
    const pid = await find(/^\S*node .*child\.ts/);
    const own = (name: string) => readlinkSync(`/proc/${pid}/ns/${name}`);

    const namespaces = ["mnt", "net", "pid", "ipc", "uts", "user"].filter(
      (name) => own(name) === readlinkSync(`/proc/self/ns/${name}`),
    );
    const files = readdirSync(`/proc/${pid}/root`).sort();
    const [app, environment] = [readdirSync(`/proc/${pid}/root/app`), read(`/proc/${pid}/environ`)];
    await building;

    expect(namespaces).toEqual([]);
    expect(files.filter((name) => !/^(?:bin|lib|lib32|lib64|sbin|usr|dev|etc)$/.test(name))).toEqual([
      "app",
      "output",
    ]);
    expect(app.sort()).toEqual(["compiled", "node", "package.json", "src"]);
    expect(
      environment
        .split("\0")
        .filter(Boolean)
        .map((each) => each.split("=")[0])
        .sort(),
    ).toEqual(["LC_ALL", "NODE_COMPILE_CACHE", "PATH", "PWD"]);
  });

  test("tar2sqfs gets its archive, its output and nothing else", async (context) => {
    if (problem !== undefined) leaveOut(context, problem);
    await using cache = await startImageCache();
    const image = slowImage();
    const building = cache.ensure(add("descriptors", image), image.digest);
    const pid = await find(/^tar2sqfs/);
    let open: string[] = [];
    await expect
      .poll(() => {
        open = readdirSync(`/proc/${pid}/fd`).map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
        return open.some((each) => each.endsWith(".squashfs") || each.endsWith("/output"));
      })
      .toBe(true);
    const environment = read(`/proc/${pid}/environ`);
    await building;

    // What this test has inherited is not the product's; services close it when they start.
    const inherited = [
      "/dev/null",
      ...readdirSync("/proc/self/fd").map((fd) => linkOf(`/proc/self/fd/${fd}`)),
    ];
    const given = open.filter((each) => !inherited.includes(each.split(" ")[1] ?? ""));
    expect(given.map((each) => each.replace(/:\[.*/, ""))).toEqual(["0 socket", "2 socket", "3 /output"]);
    expect(environment).toBe("PATH=/usr/local/bin:/usr/bin:/bin\0");
  });

  test("where namespaces do not work it has its limits only, and the cache says so", async () => {
    const sandbox = {
      options: undefined,
      shortfall: "bubblewrap: no user namespaces",
      compiled: compiled.path,
    };
    await using cache = await startImageCache({ sandbox, buildMemoryBytes: 512 * MIB });
    const image = slowImage();
    const building = cache.ensure(add("unconfined", image), image.digest);
    const pid = await find(/^\S*node .*child\.ts/);
    const limits = read(`/proc/${pid}/limits`);
    await building;

    expect(limits).toMatch(/Max data size +1207959552 /);
    expect(limits).toMatch(/Max core file size +0 /);
    expect(limits).toMatch(/Max open files +65 /);
    const huge = buildImage({ layers: [[{ path: "a/".repeat(100_000) }]] });
    await expect(cache.ensure(add("unconfined-bad", huge), huge.digest)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });
});
