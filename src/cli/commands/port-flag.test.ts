import { expect, test } from "vitest";
import { port } from "./port-flag.ts";

test.each([
  ["8080", { protocol: "tcp", internalPort: 8080, public: [8080, 8080], handlers: [], isExact: false }],
  ["53/udp", { protocol: "udp", internalPort: 53, public: [53, 53], handlers: [] }],
  ["80:8080", { protocol: "tcp", internalPort: 8080, public: [80, 80], isExact: true }],
  ["443:80/tcp:http:tls", { internalPort: 80, public: [443, 443], handlers: ["http", "tls"] }],
  ["5432/tcp:pg_tls", { internalPort: 5432, handlers: ["pg_tls"] }],
  ["8000-8010:80/tcp", { internalPort: 80, public: [8000, 8010] }],
  ["80/tcp:-", { internalPort: 80, handlers: ["-"], removes: true }],
])("-p %s", (raw, expected) => {
  expect(port(raw)).toMatchObject([expected]);
});

test("ports are collected", () => {
  expect(port("53/udp", port("8080"))).toMatchObject([{ internalPort: 8080 }, { internalPort: 53 }]);
});

test.each(["0", "65536", "http", "80/sctp", "-1", "", "80:0", "90-80", "80/", "80/tcp:", "80/tcp/udp"])(
  "%j is no port",
  (raw) => {
    expect(() => port(raw)).toThrow(/Write PORT\[:MACHINE_PORT\]/);
  },
);

test("the handler that removes a port stands alone", () => {
  expect(() => port("80/tcp:tls:-")).toThrow(/stands alone/);
});
