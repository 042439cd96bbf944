import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer } from "../traces/support.ts";
import { json, rawRequest, startTestConsole, type TestConsole } from "./support.ts";

const token = await bearer("acme", "machines:read");
let console: TestConsole;

beforeAll(async () => {
  console = await startTestConsole();
});
afterAll(() => console.close());

describe("hostile requests", () => {
  test.each([
    ["/api/overview?since=x&until=y&colour=1&min=z", ["since", "until", "colour", "min"]],
    ["/api/latency?by=colour", ["by"]],
    ["/api/latency?kind=nap&by=colour", ["by", "kind"]],
    ["/api/points?kind=nap&limit=0", ["kind", "limit"]],
    ["/api/points?limit=5001", ["limit"]],
    ["/api/differences", ["box"]],
    ["/api/compare?a=since%3Dx&c=1", ["c", "b", "a.since"]],
    ["/api/export?format=xml&trace=1&since=x", ["format", "trace", "since"]],
    [`/api/overview?${"host=a&".repeat(40)}`, ["host"]],
    ["/api/overview?constructor=1&__proto__=2", ["constructor", "__proto__"]],
  ])("are refused with every wrong parameter: %s", async (path, fields) => {
    const answer = await console.get(path, token);

    const { error } = await json(answer);
    expect([answer.status, error.reason]).toEqual([400, "INVALID_FIELDS"]);
    const named = error.violations.map(({ field }: { field: string }) => field);
    expect(named.toSorted()).toEqual(fields.toSorted());
  });

  test.each([
    ["/../../etc/passwd", 404],
    ["/assets/..%2f..%2f..%2fetc/passwd", 404],
    ["/%00", 404],
    ["/%E0%A4%A", 400],
    ["/assets", 404],
    ["/index.html/", 404],
    [`/${"a".repeat(5_000)}`, 404],
    [`/${"a".repeat(40_000)}`, 431],
  ])("for files outside of the page find nothing: %s", async (path, status) => {
    const answer = await rawRequest(console.port, path, { host: `127.0.0.1:${console.port}` });

    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain("root:");
  });

  test("by methods and bodies that nothing takes are refused", async () => {
    const host = { host: `127.0.0.1:${console.port}` };
    const put = await rawRequest(console.port, "/api/overview", host, "PUT");
    const large = await fetch(`${console.url}/api/links`, {
      method: "POST",
      headers: { authorization: token, "content-type": "application/json" },
      body: JSON.stringify({ view: "/".repeat(20_000) }),
    });

    expect([put.status, large.status]).toEqual([404, 400]);
  });
});
