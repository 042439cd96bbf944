import http2 from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { TestProxy, unusedPort } from "./fixture.ts";

let proxy: TestProxy;
let client: http2.ClientHttp2Session;

beforeEach(async () => {
  proxy = await TestProxy.start();
  client = http2.connect(`http://127.0.0.1:${proxy.port}`);
  client.on("error", () => {});
});
afterEach(async () => {
  client.destroy();
  await proxy.close();
});

interface H2Answer {
  readonly headers: http2.IncomingHttpHeaders & { ":status"?: number };
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** Makes one request. */
async function ask(headers: http2.OutgoingHttpHeaders, body?: string): Promise<H2Answer> {
  const stream = client.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const head = new Promise<H2Answer["headers"]>((resolve, reject) =>
    stream.once("response", resolve).once("error", reject),
  );
  let trailers = {};
  stream.once("trailers", (fields) => {
    trailers = fields;
  });
  const [answer, received] = await Promise.all([head, text(stream)]);
  return { headers: answer, body: received, trailers };
}

/** Starts a program that speaks HTTP/2 alone. */
async function startH2(
  name: string,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
) {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", onStream);
  const port = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => {
    for (const session of sessions) session.destroy();
  });
  await proxy.app(name, [{ id: name, port }], { service: { http: { h2Backend: true } } });
  return { sessions };
}

test("HTTP/2 without TLS is spoken to whoever begins with it, many requests at once", async () => {
  await proxy.app("app", (req, res) =>
    res.end(`${req.method} ${req.url} ${req.headers.host} ${req.headers.cookie}`),
  );
  const one = (path: string) =>
    ask({ ":path": path, ":authority": "app.localhost", cookie: ["a=1", "b=2"], "x-a": "b" });

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

  const answer = await ask({ ":method": "POST", ":path": "/", ":authority": "app.localhost" }, "hello");

  expect(answer.body).toBe("HELLO");
  expect(answer.trailers["x-sum"]).toBe("7");
});

test("a call of gRPC passes with its trailers, and streams both ways", async () => {
  let seen: http2.IncomingHttpHeaders = {};
  await startH2("grpc", (stream, headers) => {
    seen = headers;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("data", (chunk) => stream.write(`<${chunk}>`));
    stream.on("end", () => stream.end());
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
  });
  const call = client.request({
    ":method": "POST",
    ":path": "/svc/Method",
    ":authority": "grpc.localhost",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "5S",
  });
  let [received, trailers] = ["", {} as http2.IncomingHttpHeaders];
  call.on("data", (chunk) => {
    received += chunk;
  });
  call.on("trailers", (fields) => {
    trailers = fields;
  });

  call.write("one");
  await expect.poll(() => received).toBe("<one>");
  call.write("two");
  await expect.poll(() => received).toBe("<one><two>");
  call.end();

  await expect.poll(() => trailers["grpc-status"]).toBe("0");
  expect(trailers["grpc-message"]).toBe("fine");
  expect(seen).toMatchObject({ te: "trailers", "grpc-timeout": "5S", ":authority": "grpc.localhost" });
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("an answer of headers alone passes, as gRPC answers errors", async () => {
  await startH2("grpc", (stream) => {
    stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
  });

  const answer = await ask({ ":method": "POST", ":path": "/", ":authority": "grpc.localhost" }, "x");

  expect(answer.headers["grpc-status"]).toBe("5");
  expect(answer.body).toBe("");
});

test("an error of the proxy reaches a client of gRPC as a status", async () => {
  await proxy.app("none", []);

  const answer = await ask(
    { ":method": "POST", ":path": "/", ":authority": "none.localhost", "content-type": "application/grpc" },
    "x",
  );

  expect(answer.headers[":status"]).toBe(200);
  expect(answer.headers["grpc-status"]).toBe("14");
  expect(answer.headers["grpc-message"]).toContain("NO_MACHINE");
});

test("a program of HTTP/2 serves clients of HTTP/1.1, over one connection", async () => {
  const program = await startH2("app", (stream, headers) => {
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
  const program = await startH2("app", (stream) => {
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
  const program = await startH2("app", (stream) => {
    stream.respond({ ":status": 200 });
    finish.push(() => stream.end("ok"));
  });

  const answers = Promise.all(Array.from({ length: 150 }, () => proxy.fetch("app.localhost")));
  await expect.poll(() => finish.length).toBe(150);
  for (const each of finish) each();

  expect(new Set((await answers).map(({ body }) => body))).toEqual(new Set(["ok"]));
  expect(program.sessions.size).toBe(2);
});

test("a stream that the client resets ends at the program", async () => {
  let isClosed = false;
  let hasBegun = false;
  await startH2("app", (stream) => {
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

  const answer = await ask({ ":path": "/", ":authority": "app.localhost", host: "other.localhost" });

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
  expect((await ask({ ":path": "/", ":authority": "app.localhost" })).body).toBe("ok");
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

/** A frame: RFC 9113 section 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header that is not to be remembered: RFC 7541 section 6.2.2. */
function header(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

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
