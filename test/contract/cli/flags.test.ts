import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { guestOfPreset } from "../../../src/api/rest/convert/config/guest-presets.ts";
import type { CreateMachineRequest } from "../../../src/gen/windhover/machines/v1/machines.ts";
import { useCli } from "./support.ts";

const cli = useCli();
const RUN = ["m", "run", "nginx", "-a", "web"];

function created() {
  return cli.sent<CreateMachineRequest>("createMachine");
}

describe("flags of flyctl", () => {
  test("describe size, restarts, schedule and files", async () => {
    const local = join(cli.home.dir, "local.txt");
    writeFileSync(local, "local content");

    const { code, err } = await cli.home.hover(
      ...[...RUN, "--vm-size", "performance-2x", "--vm-memory", "8gb", "--restart", "always"],
      ...["--restart-max-retries", "3", "--schedule", "hourly", "--file-local", `/etc/a=${local}`],
      ...["--file-literal", "/etc/b=aGk=", "--command", "serve --all", "--skip-dns-registration"],
    );

    expect([code, err]).toEqual([0, expect.not.stringContaining("Error")]);
    expect(created().config).toMatchObject({
      guest: { cpuKind: "performance", cpus: 2, memoryMb: 8192 },
      restart: { policy: "always", maxRetries: 3 },
      schedule: "hourly",
      init: { cmd: ["serve", "--all"] },
    });
    expect(created().config?.files.map(({ guestPath, content }) => [guestPath, content.toString()])).toEqual([
      ["/etc/a", "local content"],
      ["/etc/b", "hi"],
    ]);
  });

  test.each([
    [["--autostop", "nginx"], "nginx", { autostop: "stop" }],
    [["--autostop", "suspend", "nginx"], "nginx", { autostop: "suspend" }],
    [
      ["--autostop=off", "--autostart", "nginx", "--autostop"],
      "nginx",
      { autostart: true, autostop: "stop" },
    ],
    [["--autostart=false", "nginx"], "nginx", { autostart: false }],
  ])("may leave out a value: %j", async (args, image, service) => {
    const { code, err } = await cli.home.within("m", "run", "-a", "web", "-p", "80", ...args);

    expect([code, err]).toEqual([0, expect.not.stringContaining("Error")]);
    expect(created().config).toMatchObject({ image, services: [service] });
  });

  test.each([
    ["shared-cpu-6x", { cpuKind: "shared", cpus: 6, memoryMb: 1_536 }],
    ["performance-6x", { cpuKind: "performance", cpus: 6, memoryMb: 12_288 }],
    ["performance-14x", { cpuKind: "performance", cpus: 14, memoryMb: 28_672 }],
  ])("know the size %s, as the REST API does", async (size, guest) => {
    await cli.home.within(...RUN, "--vm-size", size);

    const { cpu_kind: cpuKind, cpus, memory_mb: memoryMb } = { ...guestOfPreset(size) };
    expect({ cpuKind, cpus, memoryMb }).toEqual(guest);
    expect(created().config?.guest).toMatchObject(guest);
  });

  test("set how long it runs and where its starts begin", async () => {
    await cli.home.hover(...RUN, "--snapshot", "ready", "--max-lifetime", "24h");

    expect(created().config).toMatchObject({ snapshot: "ready", maxLifetime: { seconds: 86_400n } });
  });

  test.each([
    ["--volume", "there are no volumes yet", ["-v", "data:/data"]],
    ["--vm-gpus", "there are no GPUs", ["--vm-gpus", "1"]],
    ["--dockerfile", "hover builds no images", ["--dockerfile", "Dockerfile"]],
    ["--no-build-cache", "hover builds no images", ["--no-build-cache"]],
    ["--standby-for", "no standby machines", ["--standby-for", "x"]],
    ["--file-secret", "no secrets yet", ["--file-secret", "/a=b"]],
    ["--kernel-arg", "Windhover's own", ["--kernel-arg", "x"]],
    ["--rootfs-size", "scratch disk", ["--rootfs-size", "1"]],
    ["--org", "hover app create NAME -o ORG", ["--org", "acme"]],
  ])("%s is refused with the reason", async (flag, why, args) => {
    const { code, err } = await cli.home.within(...RUN, ...args);

    expect([code, err]).toEqual([2, expect.stringContaining(`Error: ${flag} is not possible here: `)]);
    expect(err).toContain(why);
    expect(cli.api.requests).toEqual([]);
  });

  test.each([["egress-ip"], ["api-proxy"], ["proxy"]])(
    "hover machine %s says why there is none",
    async (name) => {
      const { code, err } = await cli.home.within("machine", name, "list", "--org", "acme");

      expect([code, err]).toEqual([
        2,
        expect.stringContaining(`hover machine ${name} is not possible here: `),
      ]);
    },
  );

  test("--machine-config takes Fly's JSON, as a text or a file, and keeps what it does not know", async () => {
    const fly = {
      image: "registry/app:1",
      guest: { cpu_kind: "shared", cpus: 1, memory_mb: 512, kernel_args: ["a"] },
      services: [
        {
          ...{ protocol: "tcp", internal_port: 80, autostop: true, concurrency: { type: "requests" } },
          ports: [{ port: 443, http_options: { compress: true, response: { headers: { via: false } } } }],
        },
      ],
      stop_config: { timeout: 10_000_000_000, signal: "SIGTERM" },
      restart: { policy: "on-failure", gpu_bid_price: 1 },
      files: [{ guest_path: "/a", raw_value: "aGk=" }],
      checks: { up: { type: "tcp", interval: 15_000_000_000, x: 1 } },
      max_lifetime: "24h",
    };
    const path = join(cli.home.dir, "fly.json");
    writeFileSync(path, JSON.stringify(fly));

    await cli.home.hover("m", "run", "-a", "web", "--machine-config", JSON.stringify(fly));
    const asText = created().config;
    await cli.home.hover("m", "run", "-a", "web", "--machine-config", path);

    expect(created().config).toEqual(asText);
    expect(asText).toMatchObject({
      image: "registry/app:1",
      guest: { memoryMb: 512 },
      services: [
        {
          ...{ protocol: "tcp", internalPort: 80, autostop: "stop", concurrency: { type: "requests" } },
          ports: [{ port: 443, httpOptions: { responseHeaders: new Map([["via", ""]]) } }],
        },
      ],
      checks: new Map([
        ["up", expect.objectContaining({ type: "tcp", interval: { seconds: 15n, nanos: 0 } })],
      ]),
      maxLifetime: { seconds: 86_400n },
      stopConfig: { signal: "SIGTERM", timeout: { seconds: 10n } },
      restart: { policy: "on-failure" },
      files: [{ guestPath: "/a" }],
    });
    expect(asText?.extra).toEqual({
      guest: { kernel_args: ["a"] },
      services: [{ ports: [{ http_options: { compress: true } }] }],
      restart: { gpu_bid_price: 1 },
      checks: { up: { x: 1 } },
    });
  });

  test("--machine-config says what nothing comes of, and refuses what would make another machine", async () => {
    const run = (config: object) =>
      cli.home.hover("m", "run", "-a", "web", "--machine-config", JSON.stringify({ image: "a", ...config }));

    const inert = await run({
      init: { swap_size_mb: 512, cmd: ["x"] },
      metrics: { port: 9091 },
      auto_stop_machines: "stop",
      standbys: [],
      dns: { skip_registration: true },
    });
    const whole = await run({ stop_config: { timeout: "5s" } });
    const other = await run({
      mounts: [{ volume: "vol_1", path: "/data" }],
      guest: { gpus: 1 },
      files: [{ guest_path: "/a", secret_name: "S" }],
      size: "huge-1x",
    });

    expect(inert.err).toContain("Not acted on: init.swap_size_mb, metrics.port, auto_stop_machines.\n");
    expect(whole.err).not.toContain("Not acted on");
    expect([other.code, other.err]).toEqual([
      2,
      expect.stringContaining("has what is not built yet: mounts, guest.gpus, files[0].secret_name, size"),
    ]);
  });

  test("--machine-config takes a preset, and the one entry of processes as the program", async () => {
    const fly = {
      ...{ image: "a", size: "shared-cpu-2x", init: { cmd: ["old"], tty: true }, env: { A: "1", B: "1" } },
      processes: [{ cmd: ["new"], user: "app", env: { B: "2" } }],
    };

    await cli.home.hover("m", "run", "-a", "web", "--machine-config", JSON.stringify(fly));

    const { config } = created();
    expect(config).toMatchObject({
      guest: { cpuKind: "shared", cpus: 2, memoryMb: 512 },
      init: { cmd: ["new"], user: "app", tty: true },
    });
    expect(config?.env).toEqual(new Map(Object.entries({ A: "1", B: "2" })));
    expect(config?.extra).toBeUndefined();
  });

  test("-c does not take the fly.toml of an app", async () => {
    const { code, err } = await cli.home.hover(...RUN, "-c", "fly.toml");

    expect([code, err]).toEqual([2, expect.stringContaining("fly.toml is of an app at Fly")]);
  });

  test("-t is the token itself, which wins over all others", async () => {
    const { code, err } = await cli.home.hover("m", "ls", "-t", "nonsense");

    expect([code, err]).toEqual([
      1,
      expect.stringContaining("the token was looked for in --access-token (used)"),
    ]);
  });

  test.each(["--debug", "--verbose"])("%s tells about each call", async (flag) => {
    const { err } = await cli.home.within("m", "ls", flag);

    expect(err).toMatch(/^\/windhover\.machines\.v1\.MachinesService\/ListMachines took [\d.]+ ms$/m);
  });
});

describe("what cannot be meant", () => {
  test.each([
    [["--restart", "sometimes"], "Policies are no, on-failure and always"],
    [["--vm-size", "huge"], "Sizes are shared-cpu-1x, "],
    [["-p", "80/sctp"], "Write PORT[:MACHINE_PORT]"],
    [["--file-local", "/a=/nowhere/at/all"], "/nowhere/at/all cannot be read"],
    [["--file-literal", "/a=%%"], "The content of /a is not base64"],
    [["--autostart"], "add -p PORT"],
    [["--config", "a.json", "--machine-config", "{}"], "Either --config or --machine-config"],
  ])("%j is an error that shows the way", async (args, message) => {
    const { code, err } = await cli.home.within(...RUN, ...args);

    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
    expect(cli.api.requests).toEqual([]);
  });
});
