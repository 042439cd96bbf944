import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { describe, expect, test } from "vitest";
import { Process } from "../../../src/gen/windhover/machines/v1/exec.ts";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import type { CreateMachineRequest } from "../../../src/gen/windhover/machines/v1/machines.ts";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { useCli } from "./support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

describe("hover machine clone, ps, place and metadata", () => {
  test("clone creates a machine with the configuration of another", async () => {
    cli.api.add({ id: OTHER, region: "gru" });

    const { code, out } = await cli.home.hover(
      ...["m", "clone", OTHER, "-n", "second", "-e", "A=1", "--override-cmd", "serve 'x y'", "--wait"],
    );

    expect([code, out]).toEqual([0, expect.stringContaining(`${ID} started in`)]);
    expect(cli.sent<CreateMachineRequest>("createMachine")).toMatchObject({
      app: "web",
      name: "second",
      region: "gru",
      leaseTtl: { seconds: 60n },
      config: { image: "127.0.0.1:5000/hello:1", init: { cmd: ["serve", "x y"] } },
    });
    expect(cli.sent("waitMachine")).toMatchObject({ machineId: ID, settled: true });
    expect(cli.api.leases.size).toBe(0);
  });

  test("ps shows processes and where they listen, in any order", async () => {
    cli.api.add({ id: ID });
    const process = { ...Process.create(), cpuTime: { seconds: 1n, nanos: 0 } };
    cli.api.processes = [
      {
        ...process,
        pid: 1,
        command: "nginx",
        residentBytes: 5_242_880n,
        listenSockets: [{ protocol: "tcp", address: "0.0.0.0:80" }],
      },
      { ...process, pid: 9, command: "sh", residentBytes: 10_485_760n },
    ];

    const table = await cli.home.hover("m", "ps", ID);
    const json = await cli.home.hover("m", "ps", ID, "--json", "--sort-by", "memory", "--order", "desc");

    expect(table.out).toMatch(/^ *PID +PARENT +CPU +RUNS FOR +MEMORY +LISTENS +COMMAND\n/);
    expect(table.out).toMatch(/ 1 +0 +1\.00 s +.* 5 MB +0\.0\.0\.0:80\/tcp +nginx\n/);
    expect(JSON.parse(json.out).map(({ pid }: { pid: number }) => pid)).toEqual([9, 1]);
  });

  test("place shows where there is room", async () => {
    const { out } = await cli.home.hover(
      "m",
      "place",
      "--vm-size",
      "shared-cpu-2x",
      "-r",
      "us",
      "--count",
      "20",
    );

    expect(out).toMatch(/^REGION +MACHINES +CREATES AT ONCE\nord +12 +4\nams +0 +4\n$/);
    expect(cli.sent("estimatePlacements")).toMatchObject({
      guest: { cpuKind: "shared", cpus: 2, memoryMb: 512 },
      region: "us",
      count: 20,
    });
  });

  test("regions and sizes are listed", async () => {
    const regions = await cli.home.hover("platform", "regions");
    const sizes = await cli.home.hover("platform", "vm-sizes", "--json");

    expect(regions.out).toMatch(/^CODE +NAME +GROUP\nams +Amsterdam.* +eu\nord +Chicago.* +us +nearest\n$/);
    expect(JSON.parse(sizes.out)).toContainEqual({
      name: "shared-cpu-2x",
      cpu_kind: "shared",
      cpus: 2,
      memory_mb: 512,
    });
  });

  test("lists are of regions and labels", async () => {
    await cli.home.hover("m", "ls", "-a", "web", "-r", "ord,gru", "-m", "team=blue", "--state", "started");

    expect(cli.sent("listMachines")).toMatchObject({
      app: "web",
      regions: ["ord", "gru"],
      metadata: new Map([["team", "blue"]]),
      states: [MachineState.STARTED],
    });
  });

  test("metadata is shown, set and removed", async () => {
    cli.api.add({ id: ID });

    const none = await cli.home.hover("m", "metadata", "show", ID);
    const set = await cli.home.hover("m", "metadata", "set", ID, "team=blue", "a=b=c");
    const unset = await cli.home.hover("m", "metadata", "unset", ID, "a", "--json");
    const wrong = await cli.home.hover("m", "metadata", "set", ID, "team");

    expect(none.err).toBe("No labels.\n");
    expect(set.out).toBe("NAME  VALUE\na     b=c\nteam  blue\n");
    expect(JSON.parse(unset.out)).toEqual({ team: "blue" });
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('Write NAME=VALUE, not "team".')]);
  });
});

describe("hover api", () => {
  /** A gateway that tells what it was asked. */
  async function gateway() {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        const { method, url, headers } = request;
        response.writeHead(url === "/v1/missing" ? 404 : 200, { "content-type": "application/json" });
        response.end(
          JSON.stringify({ method, url, body, token: headers.authorization, extra: headers["x-extra"] }),
        );
      });
    });
    const address = `127.0.0.1:${await listen(server, "127.0.0.1:0", "REST")}`;
    return { address, close: () => server.close() };
  }

  test("sends method, body and headers with the token, and lays out the JSON", async () => {
    const { address, close } = await gateway();
    const env = { WINDHOVER_REST_URL: `http://${address}/` };

    const get = await cli.home.hoverWith(env, "api", "GET", "/v1/apps/web/machines?state=started");
    const post = await cli.home.hoverWith(
      env,
      "api",
      "post",
      "/v1/x",
      "-d",
      '{"a":1}',
      "-H",
      "X-Extra: y",
      "-i",
    );
    const missing = await cli.home.hoverWith(env, "api", "/v1/missing");
    close();

    expect(get.out).toContain('{\n  "method": "GET",\n  "url": "/v1/apps/web/machines?state=started"');
    expect(JSON.parse(get.out).token).toMatch(/^Bearer /);
    expect(post.out).toMatch(/^HTTP 200\n(?:[a-z-]+: .*\n)+\n\{/);
    expect(JSON.parse(post.out.slice(post.out.indexOf("{")))).toMatchObject({
      method: "POST",
      body: '{"a":1}',
      extra: "y",
    });
    expect([missing.code, missing.err]).toEqual([1, "HTTP 404\n"]);
  });

  test("a stream is printed as it comes, for as long as it goes on", async () => {
    const printed = Promise.withResolvers<void>();
    const server = createServer(async (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      response.write("data: 1\n\n");
      await printed.promise;
      response.end("data: 2\n\n");
    });
    const env = { WINDHOVER_REST_URL: `127.0.0.1:${await listen(server, "127.0.0.1:0", "REST")}` };

    const run = cli.home.start(env, "api", "/v1/apps/web/watch");
    await expect.poll(() => run.out(), { timeout: 20_000 }).toBe("data: 1\n\n");
    printed.resolve();

    expect((await run.ended).code).toBe(0);
    expect(run.out()).toBe("data: 1\n\ndata: 2\n\n");
    server.close();
  });

  test("a gateway that is not there is said to be so", async () => {
    const { code, err } = await cli.home.hoverWith(
      { WINDHOVER_REST_URL: "127.0.0.1:1" },
      "api",
      "GET",
      "/v1/apps",
    );

    expect(code).toBe(1);
    expect(err).toContain("the REST API at http://127.0.0.1:1 (from WINDHOVER_REST_URL) does not answer");
    expect(err).toContain("Next: hover doctor");
  });

  test("an answer that does not end is said to be late", async () => {
    const server = createServer((_request, response) => void response.writeHead(200).write("{"));
    const env = { WINDHOVER_REST_URL: `127.0.0.1:${await listen(server, "127.0.0.1:0", "REST")}` };

    const { code, err } = await cli.home.hoverWith(env, "api", "/v1/apps", "--timeout", "200ms");

    expect([code, err]).toEqual([
      1,
      expect.stringContaining("does not answer: no whole answer within 0.2 s"),
    ]);
    server.closeAllConnections();
    server.close();
  });
});

describe("hover completion", () => {
  test("completes commands, aliases and flags in bash", async () => {
    const { out: script } = await cli.home.hover("completion", "bash");
    const complete = (...words: string[]) => {
      const code = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hover; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = spawnSync("bash", ["-c", code, "bash", ...words], { encoding: "utf8" });
      expect(stderr).toBe("");
      return stdout.trimEnd().split("\n");
    };

    expect(complete("hover", "ma")).toEqual(["machine", "machines"]);
    expect(complete("hover", "m", "res")).toEqual(["restart"]);
    expect(complete("hover", "m", "lease", "")).toEqual(expect.arrayContaining(["view", "clear", "acquire"]));
    expect(complete("hover", "-t", "x", "machine", "run", "--vm-c")).toEqual(["--vm-cpus", "--vm-cpu-kind"]);
    expect(complete("hover", "completion", "z")).toEqual(["zsh"]);
  });

  test("has a script for zsh and one for fish, and for no other shell", async () => {
    const zsh = await cli.home.hover("completion", "zsh");
    const fish = await cli.home.hover("completion", "fish");
    const other = await cli.home.hover("completion", "tcsh");

    expect(zsh.out).toMatch(/^#compdef hover\n/);
    expect(zsh.out).toContain("'machine restart') list=(");
    expect(fish.out).toContain(`complete -c hover -f -n 'test (__hover_at) = "machine"' -a restart -d `);
    expect([other.code, other.err]).toEqual([
      2,
      expect.stringContaining("Allowed choices are bash, zsh, fish"),
    ]);
  });
});

test("hover app show, and a name that is made", async () => {
  const made = await cli.home.hover("apps", "create", "--generate-name", "--json");
  const { name } = JSON.parse(made.out);
  const shown = await cli.home.hover("app", "show", name);

  expect(name).toMatch(/^app-[0-9a-f]{8}$/);
  expect(shown.out).toMatch(new RegExp(`^name +${name}\norganisation +acme\nmachines +0\n`));
});
