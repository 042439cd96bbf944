import { createServer, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Bench, openBench } from "../support/fixture.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench?.close());

test("a program without rights reaches its host on /.fly/api, with large requests and answers", async () => {
  const server = createServer((request, response) => void answer(request).then((text) => response.end(text)));
  const script =
    "probe ask GET /v1/machines/self; probe ask POST /echo 200000; stat -L -c '%a %F' /.fly/api; ls /.fly";

  const { vm, texts } = await bench.launch(["sh", "-c", script], {
    user: "web",
    onConnection: (connection) => {
      connection.once("finish", () => connection.destroy());
      server.emit("connection", connection);
    },
  });
  await vm.exited;

  expect(texts()).toEqual([
    ...["HTTP/1.1 200 OK", "29 GET /v1/machines/self flaps 0"],
    ...["HTTP/1.1 200 OK", `200000 ${"b".repeat(40)}`],
    ...["666 socket", "api"],
  ]);
});

async function answer(request: IncomingMessage): Promise<string> {
  const body = await buffer(request);
  return body.length > 0
    ? body.toString()
    : `${request.method} ${request.url} ${request.headers.host} ${body.length}`;
}
