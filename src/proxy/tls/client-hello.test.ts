import { once } from "node:events";
import { createServer } from "node:net";
import { connect } from "node:tls";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readClientHello } from "./client-hello.ts";

/** Returns what this Node's client says first. */
async function helloOf(options: { servername: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const accepted = once(server, "connection");
  const client = connect({ port: address.port, host: "127.0.0.1", ...options });
  client.on("error", () => {});
  const [socket] = await accepted;
  const [bytes] = await once(socket, "data");
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

test("the host name and the protocols of a real client are read", async () => {
  const bytes = await helloOf({ servername: "App.Example", ALPNProtocols: ["h2", "http/1.1"] });

  expect(readClientHello(bytes)).toEqual({ serverName: "app.example", alpn: ["h2", "http/1.1"] });
});

test("every beginning of it needs more bytes, and what follows does not matter", async () => {
  const bytes = await helloOf({ servername: "app.example" });

  const parts = Array.from({ length: bytes.length }, (_, size) => readClientHello(bytes.subarray(0, size)));
  const whole = readClientHello(Buffer.concat([bytes, Buffer.from("more")]));

  expect(parts.every((part) => part === undefined)).toBe(true);
  expect(whole).toMatchObject({ serverName: "app.example" });
});

test("it may come in many records", async () => {
  const bytes = await helloOf({ servername: "app.example" });
  const message = bytes.subarray(5);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), (size) => {
      const records: Buffer[] = [];
      for (let at = 0; at < message.length; at += size) {
        const part = message.subarray(at, at + size);
        records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
      }

      expect(readClientHello(Buffer.concat(records))).toMatchObject({ serverName: "app.example" });
    }),
  );
});

test("any bytes are read without harm", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const found = readClientHello(bytes);
      expect(found === undefined || found === "invalid" || typeof found.serverName === "string").toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("a real one with any bytes changed is read without harm", async () => {
  const bytes = await helloOf({ servername: "app.example", ALPNProtocols: ["h2"] });
  const change = fc.record({ at: fc.nat(bytes.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
      const changed = Buffer.from(bytes);
      for (const { at, value } of changes) changed[at] = value;
      const found = readClientHello(changed);
      expect(found === undefined || found === "invalid" || /^[\w.-]*$/.test(found.serverName)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("what is not TLS, or too large, is told at once", () => {
  const large = Buffer.from([22, 3, 1, 0x40, 0, 1, 0xff, 0, 0]);

  expect(readClientHello(Buffer.from("GET / HTTP/1.1\r\n"))).toBe("invalid");
  expect(readClientHello(Buffer.from([22, 9, 1]))).toBe("invalid");
  expect(readClientHello(Buffer.concat([large, Buffer.alloc(0x4000)]))).toBe("invalid");
});
