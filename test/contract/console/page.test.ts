import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestConsole, type TestConsole } from "./support.ts";

let console: TestConsole;

beforeAll(async () => {
  console = await startTestConsole();
});
afterAll(() => console.close());

describe("the page", () => {
  test.each(["/", "/assets/main-ABCD2345.js", "/nothing", "/api/overview", "/healthz", "/api/session"])(
    "runs nothing of others: %s has the headers",
    async (path) => {
      const { headers } = await console.get(path);

      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/,
      );
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    },
  );

  test("is asked for again, and its parts are kept: they are named by what is in them", async () => {
    const page = await console.get("/");
    const part = await console.get("/assets/main-ABCD2345.js", undefined, { "accept-encoding": "br" });
    const etag = page.headers.get("etag") ?? "";
    const again = await console.get("/", undefined, { "if-none-match": etag });

    expect([page.headers.get("content-type"), page.headers.get("cache-control")]).toEqual([
      ...["text/html; charset=utf-8", "no-cache"],
    ]);
    expect(part.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(part.headers.get("content-encoding")).toBe("br");
    expect(await part.text()).toMatch(/^console\.log\(1+\)$/);
    expect(again.status).toBe(304);
  });

  test.each([
    ["gzip, br;q=0", "gzip"],
    ["BR;q=0.0, gzip;q=0", null],
    ["identity", null],
  ])("is not sent in codings that the browser refuses: %s", async (accepted, coding) => {
    const part = await console.get("/assets/main-ABCD2345.js", undefined, { "accept-encoding": accepted });

    expect(part.headers.get("content-encoding")).toBe(coding);
  });
});
