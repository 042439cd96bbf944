import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runHttpCheck } from "../../../../src/hostd/checks/http-check.ts";
import type { HttpCheck } from "../../../../src/hostd/machines/health/check-plan.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { makeCertificate } from "../../proxy/certificate.ts";

const CHECK: HttpCheck = {
  ...{ method: "GET", path: "/", isTls: true, serverName: "app.example", acceptsAnyCertificate: true },
  ...{ headers: [], status: 0, body: "" },
};

const folder = temporaryFolder("https-check");
const asked: unknown[] = [];
let server: Server;
let port: number;
beforeAll(async () => {
  const cert = await makeCertificate(folder.path, "app", ["app.example"]);
  const key = await readFile(join(folder.path, "app.key"));
  server = createServer({ cert, key }, (request, response) => {
    asked.push("servername" in request.socket ? request.socket.servername : undefined);
    response.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  port = address && typeof address !== "string" ? address.port : 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  folder.remove();
});

test("a check over TLS asks for its name, and takes any certificate if it is told to", async () => {
  const result = await runHttpCheck(CHECK, port, 10_000, new AbortController().signal);

  expect(result).toMatchObject({ isPassing: true });
  expect(asked).toEqual(["app.example"]);
});

test("otherwise a certificate that nobody vouches for fails", async () => {
  const check = { ...CHECK, acceptsAnyCertificate: false };

  const result = await runHttpCheck(check, port, 10_000, new AbortController().signal);

  expect(result).toMatchObject({ isPassing: false, output: expect.stringContaining("certificate") });
});
