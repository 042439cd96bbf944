import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Clients, clientsOf, configOf } from "../support/clients.ts";
import {
  basic,
  buildImage,
  FakeRegistry,
  pushImage,
  RegistryProcess,
  TEST_HTPASSWD,
  TEST_LOGIN,
} from "../support/oci/index.ts";
import { openWorld, type World } from "./world/world.ts";

const HOVER = new URL("../../src/cli/main.ts", import.meta.url).pathname;

// One story: each test goes on where the one before it ended.
describe("a private registry", { shuffle: false }, () => {
  let world: World;
  let registry: RegistryProcess;
  let other: Clients;

  beforeAll(async () => {
    registry = await RegistryProcess.start({ htpasswd: TEST_HTPASSWD });
    // Besides the fleet's own.
    world = await openWorld(1, { REGISTRY_ALLOW_PRIVATE: registry.host });
    const image = buildImage({ layers: [[{ path: "a", content: "private" }]], config: { Cmd: ["sim-run"] } });
    const authorization = basic(TEST_LOGIN.user, TEST_LOGIN.password);
    await pushImage(registry.url, "team/app", "1", image, { authorization });
    await hover(["org", "create", "other"]);
    const { out } = await hover(["token", "create", "--org", "other"]);
    other = clientsOf(world.fleet.api, out.trim());
    await other.createApp("elsewhere");
  });
  afterAll(async () => {
    other?.close();
    await registry?.[Symbol.asyncDispose]();
    await world?.close();
  });

  it("is pulled from by an organisation that is logged in, by no other, and until it is logged out", async () => {
    await expect(create(world.clients, world.app)).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });

    const login = ["registry", "login", registry.host, "-u", TEST_LOGIN.user, "--password-stdin"];
    expect(await hover(login, "wrong\n")).toMatchObject({
      code: 1,
      err: expect.stringContaining("REGISTRY_UNAUTHORIZED"),
    });
    expect(await hover(login, `${TEST_LOGIN.password}\n`)).toMatchObject({ code: 0, err: "" });

    const machine = await create(world.clients, world.app);
    expect(machine.imageRef).toMatchObject({ repository: "team/app" });
    expect(machine.imageBytes).toBeGreaterThan(0n);
    await expect(create(other, "elsewhere")).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });
    const { out } = await hover(["registry", "list", "--json"]);
    expect(JSON.parse(out)).toEqual([
      expect.objectContaining({ registry: registry.host, username: TEST_LOGIN.user }),
    ]);

    await hover(["registry", "logout", registry.host]);
    await expect(create(world.clients, world.app)).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });
  });

  it("is logged in to with what docker login has stored", async () => {
    const auth = Buffer.from(`${TEST_LOGIN.user}:${TEST_LOGIN.password}`).toString("base64");
    const path = join(world.fleet.folder, "docker.json");
    writeFileSync(path, JSON.stringify({ auths: { [`https://${registry.host}`]: { auth } } }), {
      mode: 0o600,
    });

    expect(await hover(["registry", "login", "--from-docker-config", path])).toMatchObject({
      code: 0,
      out: `Logged in to ${registry.host}\n`,
    });
    writeFileSync(path, "{}");

    expect((await create(world.clients, world.app)).imageRef).toMatchObject({ repository: "team/app" });
  });

  it("is reached on loopback when it is allowed by name, as the fleet's own is, and no other is", async () => {
    await using hidden = await FakeRegistry.start();
    hidden.add("x", "latest", buildImage({ layers: [] }));
    const refused = world.clients.create({
      ...{ app: world.app, skipLaunch: true },
      config: configOf(`${hidden.host}/x`),
    });

    await expect(refused).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_UNAVAILABLE" });
    expect(hidden.requests).toEqual([]);
    const own = { app: world.app, skipLaunch: true, config: configOf(world.image) };
    expect((await world.clients.create(own)).imageRef?.registry).toBe(world.fleet.registry);
  });

  it("has its password nowhere in the fleet's files", async () => {
    const login = `${TEST_LOGIN.user}:${TEST_LOGIN.password}`;
    const secrets = [TEST_LOGIN.password, Buffer.from(login).toString("base64")];
    await world.sql("checkpoint");

    const files = readdirSync(world.fleet.folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const found = files.filter((file) => {
      const content = contentOf(file);
      return secrets.some((secret) => content.includes(secret));
    });

    expect(files.length).toBeGreaterThan(100);
    expect(found).toEqual([]);
  });

  /** Returns nothing for a file that has gone meanwhile. */
  function contentOf(file: string): Buffer {
    try {
      return readFileSync(file);
    } catch {
      return Buffer.alloc(0);
    }
  }

  function create(clients: Clients, app: string) {
    const config = configOf(`${registry.host}/team/app:1`);
    return clients.create({ app, config, skipLaunch: true });
  }

  /** Runs `hover` to its end. */
  function hover(args: readonly string[], input = ""): Promise<{ code: number; out: string; err: string }> {
    return new Promise((resolve) => {
      const env = {
        PATH: process.env["PATH"],
        WINDHOVER_API: world.fleet.api,
        WINDHOVER_TOKEN: world.fleet.token,
      };
      const child = execFile(process.execPath, [HOVER, ...args], { env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code) : 0, out, err });
      });
      child.stdin?.end(input);
    });
  }
});
