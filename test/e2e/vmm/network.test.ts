import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts } from "../../../dev/settings/ports.ts";
import { type Bench, openBench, qemuPid } from "../support/fixture.ts";

/** Many more than QEMU's own queue has room for. */
const TOGETHER = 64;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench?.close());

test("a port of the guest answers on the host, also to a user without privileges, and not when the VM is gone", async () => {
  const [hostPort = 0] = await freePorts(1);
  const ports = [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 80 }] as const;

  const { vm, texts } = await bench.launch(["probe", "serve", "80"], { ports, user: "web" });
  await expect.poll(texts, { timeout: 60_000 }).toContain("serving");
  const answer = await fetch(`http://127.0.0.1:${hostPort}/`);

  expect(await answer.text()).toBe("hello\n");
  const refused = await bench.launch(["probe", "clock"], { ports }).catch((err: unknown) => err);
  expect(refused).toMatchObject({ kind: "vmm", reason: "port_unavailable" });
  await bench.vmm.destroy(vm.id);
  await expect(fetch(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow();
});

test("connections that are opened together wait for the program in a queue", async () => {
  const [hostPort = 0] = await freePorts(1);
  const ports = [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 80 }] as const;
  const { vm, texts } = await bench.launch(["probe", "serve", "80"], { ports });
  await expect.poll(texts, { timeout: 60_000 }).toContain("serving");

  // Nobody accepts meanwhile.
  process.kill(qemuPid(bench.dir, vm.id), "SIGSTOP");
  const sockets = Array.from({ length: TOGETHER }, () => connect(hostPort, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  await expect.poll(() => waitingAt(hostPort)).toBe(TOGETHER);
  process.kill(qemuPid(bench.dir, vm.id), "SIGCONT");

  await expect.poll(() => waitingAt(hostPort)).toBe(0);
  for (const socket of sockets) socket.destroy();
  await bench.vmm.destroy(vm.id);
});

/** Reads how many connections to a port on loopback nobody has accepted. */
function waitingAt(port: number): number | undefined {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const fields = rows.map((row) => row.trim().split(/\s+/));
  // State 0A: it listens. Then the second half of the queues is how many wait.
  const [, , , , queues] = fields.find(([, local, , state]) => local === address && state === "0A") ?? [];
  return queues === undefined ? undefined : Number.parseInt(queues.split(":")[1] ?? "", 16);
}

test("the host hears on which ports the program listens, and that it cannot reach one on loopback", async () => {
  const command = "probe serve 8080 127.0.0.1 & sleep 1; probe serve 80 & sleep 4; kill $!; wait";
  const { vm } = await bench.launch(["sh", "-c", command]);
  const heard: string[] = [];

  const canTell = vm.watchPorts([80, 8080], (ports) =>
    heard.push(ports.map(({ port, state }) => `${port} ${state}`).join(", ")),
  );

  expect(canTell).toBe(true);
  await expect.poll(() => heard.at(-1), { timeout: 60_000 }).toBe("80 open, 8080 local");
  await expect.poll(() => heard.at(-1), { timeout: 60_000 }).toBe("80 closed, 8080 local");
  // Only changes are told.
  expect(heard.filter((each, index) => each === heard[index - 1])).toEqual([]);
  await bench.vmm.destroy(vm.id);
});

test("a guest reaches the host, from its very first instruction", async () => {
  const server = createServer((_request, response) => response.end("from the host\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // An address that listens, as a server on a port has.
  const { port } = server.address() as AddressInfo;

  const { vm, texts } = await bench.launch(["probe", "fetch", "10.0.2.2", String(port)]);
  const exit = await vm.exited;
  server.close();

  expect(exit).toMatchObject({ exitCode: 0 });
  expect(texts().at(-1)).toBe("from the host");
  // The network is up when the program begins: it waits for nothing.
  expect(exit.exitedAtUs - vm.startedAtUs).toBeLessThan(10_000_000);
});
