import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../../../test/support/temporary.ts";
import { lookupNames } from "./names.ts";

let folder: TemporaryFolder;
let hosts: string;
beforeAll(() => {
  folder = temporaryFolder("names");
  hosts = join(folder.path, "hosts");
  const lines = [
    "# 10.0.0.9 registry.test",
    "10.0.0.1\tregistry.test Other.Test # x",
    "",
    "fd00::1 registry.test",
  ];
  writeFileSync(hosts, lines.join("\n"));
});
afterAll(() => folder.remove());

const find = (name: string, servers?: string[], file = hosts) =>
  new Promise((done) => lookupNames(file, servers)(name, {}, (err, found) => done(err ?? found)));

/** Starts a name server. @param answer makes the answer to a query, if any */
async function nameServer(answer: (query: Buffer) => Buffer | undefined) {
  const socket: Socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const bytes = answer(query);
    if (bytes) socket.send(bytes, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { servers: [`127.0.0.1:${socket.address().port}`], [Symbol.dispose]: () => void socket.close() };
}

/** Answers one query with addresses of its type: 1 for IPv4, 28 for IPv6. */
function answerTo(query: Buffer, addresses: Readonly<Record<number, readonly number[][]>>): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const type = query.readUInt16BE(end - 4);
  const found = addresses[type] ?? [];
  const header = Buffer.from(query.subarray(0, 12));
  for (const [at, value] of [0x8180, 1, found.length, 0, 0].entries())
    header.writeUInt16BE(value, 2 + 2 * at);
  const records = found.map((bytes) =>
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 9, 0, bytes.length, ...bytes]),
  );
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

test("names of the host come from its file, in any case and with a dot at the end", async () => {
  const both = [
    { address: "10.0.0.1", family: 4 },
    { address: "fd00::1", family: 6 },
  ];

  expect([await find("registry.test"), await find("REGISTRY.test.")]).toEqual([both, both]);
  expect(await find("other.test")).toEqual(both.slice(0, 1));
});

test("other names come from DNS, with all addresses", async () => {
  const v6 = [0x20, 1, ...Array.from({ length: 14 }, () => 0)];
  using server = await nameServer((query) =>
    answerTo(query, {
      1: [
        [1, 2, 3, 4],
        [10, 0, 0, 1],
      ],
      28: [v6],
    }),
  );

  expect(await find("elsewhere.test", server.servers)).toEqual([
    { address: "1.2.3.4", family: 4 },
    { address: "10.0.0.1", family: 4 },
    { address: "2001::", family: 6 },
  ]);
});

test("a name without addresses is an error, also on a host without a file of names", async () => {
  using server = await nameServer((query) => answerTo(query, {}));

  for (const file of [hosts, join(folder.path, "none")])
    expect(await find("elsewhere.test", server.servers, file)).toMatchObject({ code: "ENODATA" });
});

test("names of a server that never answers keep no other look-up waiting", async () => {
  let asked = 0;
  using server = await nameServer(() => void asked++);
  let ended = 0;
  for (let i = 0; i < 8; i++) void find(`slow${i}.test`, server.servers).then(() => ended++);
  await expect.poll(() => asked).toBeGreaterThanOrEqual(16);

  await lookup("localhost");

  expect(ended).toBe(0);
});
