import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, TestProxy } from "./fixture.ts";

let proxy: TestProxy;
let reached: string[];

beforeEach(async () => {
  proxy = await TestProxy.start({ maxBodyBytes: 1_000 });
  reached = [];
  await proxy.app("app", (req, res) => {
    reached.push(`${req.method} ${req.url}`);
    req.resume().on("end", () => res.end("ok"));
  });
});
afterEach(() => proxy.close());

const HOST = "Host: app.localhost\r\n";

describe("a request that two parsers could read differently reaches no program", () => {
  test.each([
    [
      "length and coding",
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["two lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
    ["two equal lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
    ["a list of lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\nhello`],
    ["a signed length", `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`],
    ["a length that is no number", `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x5\r\n\r\nhello`],
    ["an unknown coding", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ["two codings", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    [
      "chunked twice",
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["a coding by HTTP/1.0", `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a folded header", `GET / HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`],
    ["a space before a colon", `GET / HTTP/1.1\r\nHost : app.localhost\r\n\r\n`],
    ["a NUL in a header", `GET / HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`],
    ["a bare CR in a header", `GET / HTTP/1.1\r\n${HOST}X-A: b\rX-B: c\r\n\r\n`],
    ["a bare LF after a header", `GET / HTTP/1.1\r\n${HOST}X-A: b\nX-B: c\r\n\r\n`],
    ["bare LFs", "GET / HTTP/1.1\nHost: app.localhost\n\n"],
    ["a control character in the path", `GET /a\x01b HTTP/1.1\r\n${HOST}\r\n`],
    ["two hosts", `GET / HTTP/1.1\r\n${HOST}Host: other.localhost\r\n\r\n`],
    ["no host", "GET / HTTP/1.1\r\nX-A: b\r\n\r\n"],
    ["an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    ["a host that is none", "GET / HTTP/1.1\r\nHost: app.localhost/x\r\n\r\n"],
    ["a host with a user", "GET http://u@app.localhost/ HTTP/1.1\r\nHost: app.localhost\r\n\r\n"],
    ["another scheme", `GET ftp://app.localhost/ HTTP/1.1\r\n${HOST}\r\n`],
    ["a later HTTP", `GET / HTTP/3.0\r\n${HOST}\r\n`],
    ["no HTTP at all", "hello\r\n\r\n"],
    ["CONNECT", `CONNECT app.localhost:80 HTTP/1.1\r\n${HOST}\r\n`],
    ["TRACE", `TRACE / HTTP/1.1\r\n${HOST}\r\n`],
  ])("%s", async (_, bytes) => {
    const client = new Client(proxy.port);

    client.write(bytes);

    await expect.poll(() => client.text).toMatch(/^HTTP\/1\.1 (4\d\d|501) /);
    expect(client.text).toContain("x-windhover-error: BAD_REQUEST");
    expect(reached).toEqual([]);
    client.socket.destroy();
  });

  test.each([
    ["a chunk size that is none", "z\r\nabc\r\n0\r\n\r\n"],
    ["a chunk that is longer than it says", "2\r\nabc\r\n0\r\n\r\n"],
    ["a chunk size beyond all numbers", "fffffffffffffffffff\r\nabc\r\n0\r\n\r\n"],
    ["a bare LF after a size", "3\nabc\r\n0\r\n\r\n"],
  ])("%s: the program sees its request break off", async (_, body) => {
    const client = new Client(proxy.port);

    client.write(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}`);

    await expect.poll(() => client.isClosed || client.text.includes("400")).toBe(true);
    expect(client.text).not.toContain("200 OK");
    await expect.poll(() => proxy.router.held).toBe(0);
    client.socket.destroy();
  });
});

test("a request after one that was refused is not read", async () => {
  await proxy.talk(
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n${HOST}\r\n`,
  );

  expect(reached).toEqual([]);
});

test("what follows a whole request and is none is refused after its answer", async () => {
  const text = await proxy.talk(`GET /first HTTP/1.1\r\n${HOST}\r\nnonsense\r\n\r\n`);

  expect(text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*HTTP\/1\.1 400 Bad Request/);
  expect(reached).toEqual(["GET /first"]);
});

test("a change of protocol that was sent ahead of an answer is none", async () => {
  const first = `GET /first HTTP/1.1\r\n${HOST}\r\n`;

  const upgrade = await proxy.talk(
    `${first}GET /second HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const connection = await proxy.talk(`${first}CONNECT app.localhost:80 HTTP/1.1\r\n${HOST}\r\n`);

  expect(upgrade.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
  expect(connection.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
  expect(reached).toEqual(["GET /first", "GET /second", "GET /first"]);
});

test("the host of an absolute target counts, not that of the header", async () => {
  const text = await proxy.talk(
    "GET http://app.localhost:80/x?y HTTP/1.1\r\nHost: nobody.localhost\r\nConnection: close\r\n\r\n",
  );

  expect(text).toContain("200 OK");
  expect(reached).toEqual(["GET /x?y"]);
});

test("HTTP/1.0 with a host is served, without one it is told what is missing", async () => {
  const served = await proxy.talk(`GET / HTTP/1.0\r\n${HOST}\r\n`);
  const refused = await proxy.talk("GET / HTTP/1.0\r\n\r\n");

  expect(served).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(served).not.toContain("transfer-encoding");
  expect(refused).toContain("needs a Host header");
});

test("a head that is too large is answered 431, a body that is too large 413", async () => {
  const head = await proxy.talk(`GET / HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(40_000)}\r\n\r\n`);
  const said = await proxy.fetch("app.localhost", "/", { method: "POST", body: "a".repeat(1_001) });
  const unsaid = await proxy.talk(
    `POST / HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n${"a".repeat(1_001)}\r\n0\r\n\r\n`,
  );

  expect(head).toContain("431 Request Header Fields Too Large");
  expect(said.status).toBe(413);
  expect(unsaid).toContain("413 Payload Too Large");
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a request that has passed too many proxies of this kind goes in circles", async () => {
  const via = Array.from({ length: 10 }, () => "1.1 windhover").join(", ");

  const answer = await proxy.fetch("app.localhost", "/", { headers: { via } });

  expect(answer.status).toBe(508);
  expect(answer.headers.get("x-windhover-error")).toBe("LOOP");
});

test("a client that sends more requests ahead than answers can be kept for is cut off", async () => {
  const client = new Client(proxy.port);

  client.write(`GET / HTTP/1.1\r\n${HOST}\r\n`.repeat(500));

  await expect.poll(() => client.isClosed).toBe(true);
  expect(reached.length).toBeLessThan(100);
});

test("many connections that send nothing keep no other from being served", async () => {
  const idle = Array.from({ length: 200 }, () => connect(proxy.port, "127.0.0.1").on("error", () => {}));

  const answer = await proxy.fetch("app.localhost");

  expect(answer.body).toBe("ok");
  for (const each of idle) each.destroy();
});
