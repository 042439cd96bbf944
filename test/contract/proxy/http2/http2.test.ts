import http2 from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unusedPort } from "../fixture.ts";
import { frame, H2Fixture, header, onRequest } from "./h2-fixture.ts";

let fixture: H2Fixture;
let proxy: H2Fixture["proxy"];
let client: H2Fixture["client"];

beforeEach(async () => {
  fixture = await H2Fixture.start();
  ({ proxy, client } = fixture);
});
afterEach(() => fixture.close());

test("HTTP/2 without TLS is spoken to whoever begins with it, many requests at once", async () => {
  await proxy.app("app", (req, res) =>
    res.end(`${req.method} ${req.url} ${req.headers.host} ${req.headers.cookie}`),
  );
  const one = (path: string) =>
    fixture.ask({ ":path": path, ":authority": "app.localhost", cookie: ["a=1", "b=2"], "x-a": "b" });

  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => one(`/${at}`)));

  expect(answers.map(({ body }) => body)).toEqual(
    Array.from({ length: 50 }, (_, at) => `GET /${at} app.localhost a=1; b=2`),
  );
  expect(answers[0]?.headers[":status"]).toBe(200);
  expect(answers[0]?.headers).not.toHaveProperty("connection");
});

test("bodies and trailers pass from HTTP/2 to a program of HTTP/1.1 and back", async () => {
  await proxy.app("app", async (req, res) => {
    const body = await text(req);
    res.write(body.toUpperCase());
    res.addTrailers({ "x-sum": "7" });
    res.end();
  });

  const answer = await fixture.ask(
    { ":method": "POST", ":path": "/", ":authority": "app.localhost" },
    "hello",
  );

  expect(answer.body).toBe("HELLO");
  expect(answer.trailers["x-sum"]).toBe("7");
});

test("a program of HTTP/2 serves clients of HTTP/1.1, over one connection", async () => {
  const program = await fixture.startProgram("app", (stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.end(`${headers[":method"]} ${headers[":path"]}`);
  });

  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, at) => proxy.fetch("app.localhost", `/${at}`)),
  );

  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 10 }, (_, at) => `GET /${at}`));
  expect(program.sessions.size).toBe(1);
});

test("a program of HTTP/2 that refuses connections, or goes away, costs no request", async () => {
  const program = await fixture.startProgram("app", (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  const [alive] = proxy.router.apps[0]?.machines ?? [];
  if (!alive) throw new Error("no machine");
  await proxy.app("other", [{ id: "dead", port: await unusedPort() }, alive], {
    service: { http: { h2Backend: true } },
  });

  const refused = await proxy.fetch("other.localhost", "/", { method: "POST", body: "x" });
  expect(refused.body).toBe("ok");
  expect(proxy.router.refused).toEqual(["dead"]);

  const bodies: string[] = [];
  for (let count = 0; count < 5; count++) {
    for (const session of program.sessions) session.goaway();
    bodies.push((await proxy.fetch("app.localhost", "/", { method: "POST", body: "x" })).body);
  }
  expect(bodies).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("more requests than a program of HTTP/2 takes at once go by more connections", async () => {
  const finish: (() => void)[] = [];
  const program = await fixture.startProgram("app", (stream) => {
    stream.respond({ ":status": 200 });
    finish.push(() => stream.end("ok"));
  });

  const answers = Promise.all(Array.from({ length: 150 }, () => proxy.fetch("app.localhost")));
  await expect.poll(() => finish.length).toBe(150);
  for (const each of finish) each();

  expect(new Set((await answers).map(({ body }) => body))).toEqual(new Set(["ok"]));
  expect(program.sessions.size).toBe(2);
});

test("a connection to a program that says nothing any more is not used again", async () => {
  let connections = 0;
  const machine = await proxy.rawMachine((socket) => {
    connections += 1;
    socket.resume();
    socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  });
  const http = { h2Backend: true, idleTimeoutMs: 100 };
  await proxy.app("dead", [machine], { service: { http } });
  const ask = async () => (await proxy.fetch("dead.localhost")).status;

  // The settings that come with the connection are a sign of life.
  expect([await ask(), connections]).toEqual([504, 1]);
  expect([await ask(), connections]).toEqual([504, 1]);
  expect([await ask(), connections]).toEqual([504, 2]);
});

test.each([
  ["while it waits for a machine", "asleep"],
  ["while an answer goes on", "app"],
])("a client that ends its connection %s has left", async (_, name) => {
  let isWaiting = false;
  await proxy.app("asleep", [], {
    admit: (_ask, signal) => {
      isWaiting = true;
      return new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          isWaiting = false;
          reject(signal.reason);
        }),
      );
    },
  });
  await proxy.app("app", (_req, res) => res.writeHead(200).write("a part"));
  const left = connect(proxy.port, "127.0.0.1");
  left.on("error", () => {}).resume();
  const head = [Buffer.from([0x82, 0x86, 0x84]), header(":authority", `${name}.localhost`)];
  left.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  left.write(frame(4, 0, 0, Buffer.alloc(0)));
  left.write(frame(1, 5, 1, Buffer.concat(head)));
  const isServed = () => isWaiting || proxy.router.held > 0;
  await expect.poll(isServed).toBe(true);

  left.end();

  await expect.poll(isServed).toBe(false);
});

test("a stream that the client resets ends at the program", async () => {
  let isClosed = false;
  let hasBegun = false;
  await fixture.startProgram("app", (stream) => {
    hasBegun = true;
    stream.on("error", () => {});
    stream.on("close", () => {
      isClosed = true;
    });
  });
  const call = client.request({ ":path": "/", ":authority": "app.localhost" });
  call.on("error", () => {});
  await expect.poll(() => hasBegun).toBe(true);

  call.close(http2.constants.NGHTTP2_CANCEL);

  await expect.poll(() => isClosed).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("Host and :authority that differ are refused", async () => {
  await proxy.app("app", (_req, res) => res.end());

  const answer = await fixture.ask({ ":path": "/", ":authority": "app.localhost", host: "other.localhost" });

  expect(answer.headers[":status"]).toBe(400);
});

test("a connection that begins requests and resets them at once is ended, and others are served", async () => {
  await proxy.app("app", (_req, res) => setTimeout(() => res.end("ok"), 50));
  const attacker = http2.connect(`http://127.0.0.1:${proxy.port}`);
  let isClosed = false;
  attacker.on("error", () => {});
  attacker.on("close", () => {
    isClosed = true;
  });

  const flood = async () => {
    for (let round = 0; round < 200 && !attacker.destroyed && !attacker.closed; round++) {
      for (let count = 0; count < 20; count++) {
        const stream = attacker.request({ ":path": "/", ":authority": "app.localhost" });
        stream.on("error", () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await flood();

  await expect.poll(() => isClosed).toBe(true);
  expect((await fixture.ask({ ":path": "/", ":authority": "app.localhost" })).body).toBe("ok");
  await expect.poll(() => proxy.router.held).toBe(0);
  attacker.destroy();
});

test("a flood of settings ends its connection", async () => {
  const socket = connect(proxy.port, "127.0.0.1");
  let isClosed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
  });
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  // The acknowledgements are not read.
  socket.pause();

  for (let count = 0; count < 2_000 && !isClosed; count++) {
    socket.write(Buffer.concat(Array.from({ length: 100 }, () => settings)));
    if (count % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();

  await expect.poll(() => isClosed).toBe(true);
});

test("headers that go on in frame after frame end their connection", async () => {
  const socket = connect(proxy.port, "127.0.0.1");
  let isClosed = false;
  socket.on("error", () => {}).resume();
  socket.on("close", () => {
    isClosed = true;
  });
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  socket.write(frame(1, 0, 1, header("x-first", "1")));

  for (let count = 0; count < 1_000 && !isClosed; count++) {
    socket.write(frame(9, 0, 1, header(`x-${count}`, "y".repeat(100))));
    if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  await expect.poll(() => isClosed).toBe(true);
});

test.each(["the connection ends", "the stream is cancelled"])(
  "an answer of a program of HTTP/2 that breaks off, as %s, is not taken for whole",
  async (how) => {
    const machine = await proxy.rawMachine((socket) => {
      socket.write(frame(4, 0, 0, Buffer.alloc(0)));
      onRequest(socket, (id) => {
        // Its head is `:status: 200`.
        socket.write(frame(1, 4, id, Buffer.from([0x88])));
        socket.write(frame(0, 0, id, Buffer.from("a part")));
        if (how === "the connection ends") socket.end();
        else socket.write(frame(3, 0, id, Buffer.from([0, 0, 0, http2.constants.NGHTTP2_CANCEL])));
      });
    });
    await proxy.app("app", [machine], { service: { http: { h2Backend: true } } });
    const stream = client.request({ ":path": "/", ":authority": "app.localhost" });
    let code = 0;
    stream.on("error", () => {
      code = stream.rstCode;
    });
    stream.resume();

    const answer = await proxy.fetch("app.localhost");

    // The last chunk, of no length, is missing.
    expect(answer.raw).toMatch(/a part\r\n$/);
    await expect.poll(() => code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  },
);

test("a client sees a request that breaks off at the program broken off", async () => {
  const machine = await proxy.rawMachine((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n", () =>
        socket.destroy(),
      );
    });
  });
  await proxy.app("app", [machine]);
  const call = client.request({ ":path": "/", ":authority": "app.localhost" });
  let code = 0;
  call.on("error", () => {});
  call.on("close", () => {
    code = call.rstCode;
  });
  call.resume();

  await expect.poll(() => code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
});
