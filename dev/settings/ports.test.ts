import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { freePorts, takenPorts } from "./ports.ts";

test("a taken port is reported with its part, its owner, and the variable that moves it", async () => {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;

  const taken = await takenPorts([
    { part: "registry", address: `127.0.0.1:${port}`, variable: "REGISTRY_LISTEN" },
  ]);
  await once(server.close(), "close");

  expect(taken).toEqual([
    expect.stringMatching(
      new RegExp(
        `^127.0.0.1:${port} \\(registry\\) is taken by .+ \\(process ${process.pid}\\); REGISTRY_LISTEN=127.0.0.1:PORT`,
      ),
    ),
  ]);
});

test("free ports are free, and all different", async () => {
  const ports = await freePorts(20);

  expect(new Set(ports).size).toBe(20);
  // Another test may take one of them meanwhile.
  await expect
    .poll(async () => {
      const again = await freePorts(20);
      return takenPorts(again.map((port) => ({ part: "x", address: `127.0.0.1:${port}`, variable: "X" })));
    })
    .toEqual([]);
});

test("what one process has found, another does not find while the first one lives", async () => {
  const module = JSON.stringify(import.meta.resolve("./ports.ts"));
  // The first says what it has found, and lives until its input ends.
  const script = `import { freePorts } from ${module};
    process.stdout.write(JSON.stringify(await freePorts(300)) + "\\n");
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const theirs = new Set(JSON.parse(line) as number[]);

  const ours = await freePorts(300);

  child.stdin.end();
  await once(child, "exit");
  expect(theirs.size).toBe(300);
  expect(ours.filter((port) => theirs.has(port))).toEqual([]);
});
