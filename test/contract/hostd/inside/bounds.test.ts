import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLogger } from "../../../../src/lib/runtime/log.ts";
import { startHost, type TestHost } from "../fixture.ts";

const LIST = "GET /v1/apps/web/machines HTTP/1.1\r\nConnection: close\r\n\r\n";

const ROOM = { cpus: 64, memoryMb: 16_384, diskMb: 65_536 };

let host: TestHost;
let id: string;
/** Answers that the api owes. */
const owed: ServerResponse[] = [];
const api = createServer((request, response) => {
  response.once("close", () => owed.splice(owed.indexOf(response), owed.includes(response) ? 1 : 0));
  if (request.url?.includes("break")) request.socket.destroy();
  else owed.push(response);
});
beforeAll(async () => {
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  const apis = [`127.0.0.1:${(api.address() as AddressInfo).port}`];
  host = await startHost({
    apis,
    inside: { limits: { arrivalMs: 1_000, passedOn: 2 } },
    settings: { capacity: ROOM },
  });
});
afterAll(async () => {
  await host.close();
  api.close();
});
beforeEach(async () => {
  ({ id } = await host.created());
  await host.start(id);
});

function connect(): Duplex {
  const vm = host.sim.vm(host.store.get(id)?.vmId ?? "");
  if (!vm) throw new Error(`machine ${id} has no VM`);
  return vm.connect();
}

/** Sends bytes and returns all that comes back until the connection ends. */
async function send(bytes: string): Promise<string> {
  const connection = connect();
  connection.write(bytes);
  return (await buffer(connection)).toString();
}

describe("a connection to the API inside a machine", () => {
  test.each([
    ["nothing", ""],
    ["half a header", "GET /v1/machines/self HTTP/1.1\r\nHos"],
    ["half a body", "POST /v1/machines/self/busy HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"],
  ])("ends when it sends %s for too long", async (_what, bytes) => {
    expect(await send(bytes)).toBe("");
  });

  test("that ends in the middle of a body is no error of the host", async () => {
    const lines: string[] = [];
    createLogger("test", { write: (line) => lines.push(line) });

    await send("POST /v1/machines/self/busy HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
    await send("GET /v1/machines/self HTTP/1.1\r\n\r\n");

    createLogger("test", { write: () => {} });
    expect(lines.filter((line) => line.includes('"error"'))).toEqual([]);
  });

  test("ends when nothing follows an answer", async () => {
    expect(await send("GET /v1/machines/self HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

describe("a request that is passed on", () => {
  test("may take longer than it may take to arrive, and streams its answer", async () => {
    const connection = connect();
    connection.write(LIST);
    await expect.poll(() => owed.length).toBe(1);
    const [response] = owed;
    const chunks: string[] = [];
    connection.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
    response?.write("first");
    await expect.poll(() => chunks.join("")).toContain("first");
    // As long as a request may take to arrive.
    expect(await send("")).toBe("");
    response?.end("last");

    await expect.poll(() => chunks.join("")).toContain("last");
  });

  test("ends at the api when its program leaves", async () => {
    const connection = connect();
    connection.write(LIST);
    await expect.poll(() => owed.length).toBe(1);

    connection.destroy();

    await expect.poll(() => owed.length).toBe(0);
  });

  test("is refused beyond the share of its organisation, which others give back", async () => {
    const first = [connect(), connect()];
    for (const connection of first) connection.write(LIST);
    await expect.poll(() => owed.length).toBe(2);

    expect(await send(LIST)).toMatch(/^HTTP\/1\.1 429 .*TOO_MANY_CALLS/s);

    for (const response of [...owed]) response.end("{}");
    await Promise.all(first.map((connection) => buffer(connection)));
    const next = send(LIST);
    await expect.poll(() => owed.length).toBe(1);
    owed[0]?.end("{}");
    expect(await next).toMatch(/^HTTP\/1\.1 200/);
  });

  test("with a body beyond the limit is told so", async () => {
    const answer = await send(
      "POST /v1/apps/web/machines HTTP/1.1\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n{",
    );

    expect(answer).toMatch(/^HTTP\/1\.1 413 .*BODY_TOO_LARGE/s);
  });

  test("whose api breaks the connection is not sent again", async () => {
    const answer = await send(
      "POST /v1/apps/web/machines/break HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    );

    expect(answer).toMatch(/^HTTP\/1\.1 503 .*API_UNAVAILABLE/s);
    expect(answer).toContain("may have been done");
  });
});

test("without an api, a host answers what is about the machine itself, and nothing else", async () => {
  const lonely = await startHost();
  try {
    const machine = await lonely.created();
    await lonely.start(machine.id);
    const ask = async (path: string): Promise<string> => {
      const vm = lonely.sim.vm(lonely.store.get(machine.id)?.vmId ?? "");
      const connection = vm?.connect();
      if (!connection) throw new Error("there is no VM");
      connection.write(`GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`);
      return (await buffer(connection)).toString();
    };

    expect(await ask("/v1/machines/self")).toMatch(/^HTTP\/1\.1 200/);
    expect(await ask("/v1/apps/web/machines")).toMatch(/^HTTP\/1\.1 503 .*API_UNAVAILABLE/s);
  } finally {
    await lonely.close();
  }
});
