import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Ports } from "./ports.ts";

const TCP = { protocol: "tcp", internalPort: 80 } as const;
const UDP = { protocol: "udp", internalPort: 53 } as const;
const close: (() => void)[] = [];

afterEach(() => {
  for (const end of close.splice(0)) end();
});

/** A range of free ports that begins with a taken one. */
async function range(size: number): Promise<{ from: number; to: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  close.push(() => server.close());
  const address = server.address();
  const from = typeof address === "object" && address ? address.port : 0;
  return { from, to: Math.min(65_535, from + size) };
}

test("allocates a free port for each service, none twice", async () => {
  const { from, to } = await range(20);
  const ports = new Ports({ from, to });

  const [first, second] = await Promise.all([ports.allocate([TCP, UDP]), ports.allocate([TCP])]);

  const all = [...first, ...second];
  expect(new Set(all).size).toBe(3);
  expect(all).not.toContain(from);
});

test("a port that another program has taken is replaced, the others stay", async () => {
  const { from, to } = await range(20);
  const ports = new Ports({ from, to });
  const [kept = 0, lost = 0] = await ports.allocate([TCP, UDP]);
  const socket = createSocket("udp4").bind(lost, "127.0.0.1");
  await once(socket, "listening");
  close.push(() => socket.close());

  const [first, second] = await ports.confirm([TCP, UDP], [kept, lost]);

  expect(first).toBe(kept);
  expect(second).not.toBe(lost);
});

test("when one port cannot be replaced, what was found for the others is free again", async () => {
  const ports = new Ports(await range(20));
  const all: number[] = [];
  for (let found: readonly number[] = [0]; found.length > 0; all.push(...found))
    found = await ports.allocate([TCP]).catch(() => []);
  const [left = 0, ...had] = all;
  ports.release([left]);
  const lost = had.slice(0, 2);
  for (const port of lost) {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    close.push(() => server.close());
  }

  await expect(ports.confirm([TCP, TCP], lost)).rejects.toMatchObject({ reason: "NO_FREE_PORT" });

  expect(await ports.allocate([TCP])).toEqual([left]);
});

test("without a free port it fails and keeps none", async () => {
  const { from } = await range(0);
  const ports = new Ports({ from: from - 1, to: from });
  const free = new Ports({ from: from - 1, to: from - 1 });
  const hasOne = await free.allocate([TCP]).then(
    () => true,
    () => false,
  );

  await expect(ports.allocate([TCP, TCP])).rejects.toMatchObject({ reason: "NO_FREE_PORT" });

  if (hasOne) expect(await ports.allocate([TCP])).toEqual([from - 1]);
});
