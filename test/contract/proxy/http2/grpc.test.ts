import type http2 from "node:http2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { H2Fixture } from "./h2-fixture.ts";

let fixture: H2Fixture;
let proxy: H2Fixture["proxy"];
let client: H2Fixture["client"];

beforeEach(async () => {
  fixture = await H2Fixture.start();
  ({ proxy, client } = fixture);
});
afterEach(() => fixture.close());

test("a call of gRPC passes with its trailers, and streams both ways", async () => {
  let seen: http2.IncomingHttpHeaders = {};
  await fixture.startProgram("grpc", (stream, headers) => {
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
  await fixture.startProgram("grpc", (stream) => {
    stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
  });

  const answer = await fixture.ask({ ":method": "POST", ":path": "/", ":authority": "grpc.localhost" }, "x");

  expect(answer.headers["grpc-status"]).toBe("5");
  expect(answer.body).toBe("");
});

test("an error of the proxy reaches a client of gRPC as a status", async () => {
  await proxy.app("none", []);

  const answer = await fixture.ask(
    { ":method": "POST", ":path": "/", ":authority": "none.localhost", "content-type": "application/grpc" },
    "x",
  );

  expect(answer.headers[":status"]).toBe(200);
  expect(answer.headers["grpc-status"]).toBe("14");
  expect(answer.headers["grpc-message"]).toBe("NO_MACHINE: no machine can take it");
});

test("an error of the proxy has the content type of the client of gRPC-Web", async () => {
  await proxy.app("none", []);
  const headers = { "content-type": "application/grpc-web+proto" };

  const answer = await proxy.fetch("none.localhost", "/", { method: "POST", headers, body: "x" });

  expect(answer.headers.get("content-type")).toBe("application/grpc-web+proto");
  expect(answer.headers.get("grpc-status")).toBe("14");
});

test("a client of gRPC is not redirected to TLS, but told of it", async () => {
  await proxy.app("safe", (_req, res) => res.end(), { service: { forceHttps: true } });

  const answer = await fixture.ask(
    { ":method": "POST", ":path": "/", ":authority": "safe.localhost", "content-type": "application/grpc" },
    "x",
  );

  expect(answer.headers["grpc-status"]).toBe("3");
  expect(answer.headers["grpc-message"]).toContain("TLS only");
});

test("a call of gRPC whose machine is gone in the middle of its answer is told that it was", async () => {
  const program = await fixture.startProgram("grpc", (stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.write("a part", () => {
      for (const session of program.sessions) session.destroy();
    });
  });

  const answer = await fixture.ask(
    { ":method": "POST", ":path": "/", ":authority": "grpc.localhost", "content-type": "application/grpc" },
    "x",
  );

  expect(answer.body).toBe("a part");
  expect(answer.trailers["grpc-status"]).toBe("14");
  await expect.poll(() => proxy.router.held).toBe(0);
});
