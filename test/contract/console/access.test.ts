import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bearer } from "../traces/support.ts";
import { cookieOf, json, rawRequest, recent, spanOf, startTestConsole, type TestConsole } from "./support.ts";

const MINE = recent({ org: "acme", host: "h-mine", durationUs: 31_000 });
const THEIRS = recent({ org: "rival", host: "h-theirs", durationUs: 77_777_777, path: "cold" });

let console: TestConsole;

beforeEach(async () => {
  console = await startTestConsole([MINE, THEIRS]);
});
afterEach(() => console.close());

const QUERIES = [
  ...["/api/overview", "/api/points", "/api/flame", "/api/latency?by=host", "/api/values", "/api/session"],
  ...["/api/differences?box=1,2,3,4", "/api/compare?a=host%3Da&b=host%3Db", "/api/live"],
  ...["csv", "json", "otlp", "speedscope"].map((format) => `/api/export?format=${format}`),
  `/api/traces/${MINE.traceId}`,
];

/** Makes a link and opens it. Returns its address and the answer to its first use. */
async function login(token: string, body?: object) {
  const made = await fetch(`${console.url}/api/links`, {
    method: "POST",
    headers: { authorization: token, ...(body ? { "content-type": "application/json" } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!made.ok) return { url: "", made, opened: made };
  const { url } = await json(made);
  return { url: String(url), made, opened: await fetch(String(url), { redirect: "manual" }) };
}

describe("who asks", () => {
  test.each(QUERIES)("must say so for %s", async (path) => {
    const nobody = await console.get(path);
    const noScope = await console.get(path, await bearer("acme", "machines:write"));

    expect([nobody.status, noScope.status]).toEqual([401, 403]);
    expect(console.refusals.map(({ code, reason, org }) => [code, reason, org])).toEqual([
      ["UNAUTHENTICATED", "TOKEN_MISSING", ""],
      ["PERMISSION_DENIED", "SCOPE_MISSING", ""],
    ]);
  });

  test("as an operator sees all, and as an organisation its own, as if there were nothing else", async () => {
    const operator = await bearer("ops", "admin");
    const member = await bearer("acme", "machines:read");

    const ofOperator = await json(console.get("/api/overview", operator));
    const answers = await Promise.all(
      QUERIES.filter((path) => path !== "/api/live").map(async (path) =>
        (await console.get(path, member)).text(),
      ),
    );

    expect([ofOperator.kept, ofOperator.matching]).toEqual([2, 2]);
    expect((await json(console.get("/api/overview", member))).matching).toBe(1);
    for (const text of answers) expect(text).not.toMatch(/rival|h-theirs|77777777/);
    expect(answers[1]).toContain(MINE.traceId);
  });

  test("gets no other organisation's trace, and no spans that others added to its own", async () => {
    console.database.addTrace(
      [
        spanOf(MINE),
        { ...spanOf(MINE, { span_id: "1".repeat(16), name: "intruder" }), clientOrg: "rival" },
        { ...spanOf(MINE, { span_id: "2".repeat(16), name: "hover start" }), clientOrg: "acme" },
      ],
      "acme",
    );
    console.database.addTrace([spanOf(THEIRS)], "rival");
    const member = await bearer("acme", "machines:read");

    const own = await json(console.get(`/api/traces/${MINE.traceId}`, member));
    const others = await console.get(`/api/traces/${THEIRS.traceId}`, member);
    const otherExport = await console.get(`/api/export?format=otlp&trace=${THEIRS.traceId}`, member);

    expect(own.spans.map(({ name }: { name: string }) => name).toSorted()).toEqual([
      "hostd.start",
      "hover start",
    ]);
    expect(others.status).toBe(404);
    expect(await otherExport.json()).toEqual({ resourceSpans: [] });
  });
});

test("spans that clients sent are shown, and decide neither where the time went nor what the flame graph has", async () => {
  const of = recent();
  console.database.addOperations([of]);
  const below = { parent_span_id: of.spanId, start_us: of.startUs, duration_us: of.durationUs };
  console.database.addTrace(
    [
      spanOf(of),
      { ...spanOf(of, { ...below, span_id: "3".repeat(16), name: "buy more hosts" }), clientOrg: "acme" },
      spanOf(of, { ...below, span_id: "4".repeat(16), name: "vmm.claim", duration_us: of.durationUs / 2 }),
    ],
    "acme",
  );
  const operator = await bearer("ops", "admin");
  await expect.poll(async () => (await json(console.get("/api/overview", operator))).kept).toBe(3);

  const { spans } = await json(console.get(`/api/traces/${of.traceId}`, operator));
  const others = await Promise.all(
    [`/api/flame?machine=${of.machineId}`, `/api/export?format=speedscope&trace=${of.traceId}`].map(
      async (path) => (await console.get(path, operator)).text(),
    ),
  );

  const own = Object.fromEntries(
    spans.map(({ name, critical }: { name: string; critical: { duration_us: number }[] }) => [
      name,
      critical.reduce((sum, { duration_us: us }) => sum + us, 0),
    ]),
  );
  expect(own).toEqual({
    "hostd.start": of.durationUs / 2,
    "vmm.claim": of.durationUs / 2,
    "buy more hosts": 0,
  });
  for (const text of others) expect(text).not.toContain("buy more hosts");
  expect(others[0]).toContain("vmm.claim");
});

describe("a link", () => {
  test("opens a session once, and leads to the view that was asked for", async () => {
    const { url, opened } = await login(await bearer("acme", "machines:read"), {
      view: "/?since=2h&path=warm",
    });

    const again = await fetch(url, { redirect: "manual" });
    const inBrowser = await fetch(url, { redirect: "manual", headers: { accept: "text/html,*/*" } });
    const session = await json(console.get("/api/session", undefined, { cookie: cookieOf(opened) }));

    expect([opened.status, opened.headers.get("location")]).toEqual([303, "/?since=2h&path=warm"]);
    expect(opened.headers.get("set-cookie")).toMatch(
      /^windhover-console=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=(?:59\d|600)$/,
    );
    expect(session).toMatchObject({ subject: "test", org: "acme", is_operator: false });
    expect(again.status).toBe(401);
    expect(again.headers.get("set-cookie")).toBeNull();
    expect(await inBrowser.text()).toBe(
      "the link has been used, or is older than a minute: hover console makes another\n",
    );
    expect(console.refusals.at(-1)).toMatchObject({ reason: "LINK_INVALID" });
  });

  test("that leads elsewhere is refused, as is one that a session asks for", async () => {
    const token = await bearer("acme", "machines:read");
    const { opened } = await login(token);
    const views = [
      "//evil.example",
      "https://evil.example",
      "/\\evil",
      "/?a=\n",
      `/?${"a".repeat(3_000)}`,
      7,
    ];

    const refused = await Promise.all(views.map(async (view) => (await login(token, { view })).made.status));
    const bySession = await fetch(`${console.url}/api/links`, {
      method: "POST",
      headers: { cookie: cookieOf(opened) },
    });

    expect(refused).toEqual(views.map(() => 400));
    expect(bySession.status).toBe(401);
  });
});

describe("a session", () => {
  test.each([
    ["the token is revoked", (id: string) => ({ version: 1, tokens: [id], orgs: [] })],
    [
      "the organisation is suspended",
      () => ({ version: 1, tokens: [], orgs: [{ org: "acme", isSuspended: true, notBeforeMs: 0 }] }),
    ],
    [
      "all tokens of the organisation are void",
      () => ({
        version: 1,
        tokens: [],
        orgs: [{ org: "acme", isSuspended: false, notBeforeMs: Date.now() + 60_000 }],
      }),
    ],
  ])("ends when %s, and live views with it", async (_name, listOf) => {
    const { opened } = await login(await bearer("acme", "machines:read"));
    const cookie = cookieOf(opened);
    // The audit log names the token when its organisation asks too much.
    const before = await console.get("/api/session", undefined, { cookie });
    const live = await console.get("/api/live", undefined, { cookie });
    await console.get("/api/traces/x", undefined, { cookie });
    const id = await idOf(console, cookie);

    console.revocations.replace(listOf(id));

    const after = await console.get("/api/session", undefined, { cookie });
    expect([before.status, after.status]).toEqual([
      200,
      expect.toSatisfy((status) => [401, 403].includes(status)),
    ]);
    // It reads to the end, which comes.
    expect(await live.text()).toMatch(/^retry: 2000\n\n/);
  });

  test("ends when its holder says so", async () => {
    const { opened } = await login(await bearer("acme", "machines:read"));
    const cookie = cookieOf(opened);

    const out = await fetch(`${console.url}/api/logout`, { method: "POST", headers: { cookie } });

    expect([out.status, out.headers.get("set-cookie")]).toEqual([204, expect.stringContaining("Max-Age=0")]);
    expect((await console.get("/api/session", undefined, { cookie })).status).toBe(401);
  });
});

describe("pages of others", () => {
  test.each([
    ["another name", { host: "evil.example" }, "HOST_FORBIDDEN"],
    ["another port", { host: "127.0.0.1:1" }, "HOST_FORBIDDEN"],
    ["another origin", { origin: "http://evil.example" }, "ORIGIN_FORBIDDEN"],
    ["an origin of another port", { origin: "http://127.0.0.1:8080" }, "ORIGIN_FORBIDDEN"],
    ["an opaque origin", { origin: "null" }, "ORIGIN_FORBIDDEN"],
    [
      "a page of another site",
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" },
      "ORIGIN_FORBIDDEN",
    ],
    [
      "a page of another port",
      { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
      "ORIGIN_FORBIDDEN",
    ],
  ])("get nothing by %s", async (_name, headers, reason) => {
    const { opened } = await login(await bearer("acme", "machines:read"));
    const host = `127.0.0.1:${console.port}`;

    const answer = await rawRequest(console.port, "/api/session", {
      host,
      cookie: cookieOf(opened),
      ...headers,
    });

    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body).error.reason).toBe(reason);
  });

  test("may lead to the page, and not into a frame of theirs", async () => {
    const host = `localhost:${console.port}`;
    const site = { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };

    const link = await rawRequest(console.port, "/", { ...site, "sec-fetch-dest": "document" });
    const frame = await rawRequest(console.port, "/", { ...site, "sec-fetch-dest": "iframe" });

    expect([link.status, frame.status]).toEqual([200, 403]);
  });
});

/** Returns the id of the token that a session was made with, from the audit log of a refusal. */
async function idOf(of: TestConsole, cookie: string): Promise<string> {
  await expect
    .poll(async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => of.get("/api/values", undefined, { cookie })),
      );
      return answers.some(({ status }) => status === 429);
    })
    .toBe(true);
  return of.refusals.findLast(({ code }) => code === "RESOURCE_EXHAUSTED")?.token.split(" ")[0] ?? "";
}
