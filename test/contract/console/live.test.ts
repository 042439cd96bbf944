import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bearer } from "../traces/support.ts";
import { recent, startTestConsole, type TestConsole } from "./support.ts";

let console: TestConsole;

beforeEach(async () => {
  console = await startTestConsole([recent()]);
});
afterEach(() => console.close());

/** Collects the text of a live view. */
async function watch(path: string, token: string) {
  const abort = new AbortController();
  const response = await fetch(`${console.url}${path}`, {
    headers: { authorization: token },
    signal: abort.signal,
  });
  let text = "";
  const ended = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  return { response, text: () => text, ended, close: () => abort.abort() };
}

test("new operations that match are sent, and no others", async () => {
  const token = await bearer("acme", "machines:read");
  const view = await watch("/api/live?path=cold&min=1s", token);
  const wanted = recent({ path: "cold", durationUs: 2_000_000 });

  console.database.addOperations([
    recent({ path: "warm", durationUs: 2_000_000 }),
    recent({ path: "cold", durationUs: 2_000 }),
    recent({ path: "cold", durationUs: 2_000_000, org: "rival" }),
    wanted,
  ]);

  await expect.poll(view.text).toContain(wanted.traceId);
  expect(view.response.headers.get("content-type")).toBe("text/event-stream");
  expect(view.text().match(/^event: operation$/gm)).toHaveLength(1);
  view.close();
});

test("marks of hosts that an organisation uses are sent", async () => {
  const view = await watch("/api/live", await bearer("acme", "machines:read"));
  const mark = { timeMs: Date.now(), kind: "template", label: "shared-1x" } as const;

  console.database.addMark({ ...mark, host: "h-foreign" });
  console.database.addMark({ ...mark, host: "h1" });

  await expect.poll(view.text).toContain('"host":"h1"');
  expect(view.text()).not.toContain("h-foreign");
  view.close();
});

test("a client that does not read is told how much it missed, and holds nothing up", async () => {
  const token = await bearer("acme", "machines:read");
  const socket = connect(console.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `GET /api/live HTTP/1.1\r\nhost: 127.0.0.1:${console.port}\r\nauthorization: ${token}\r\n\r\n`,
  );
  await once(socket, "readable");
  const reader = await watch("/api/live", token);
  const seen = () => reader.text().match(/^event: operation$/gm)?.length ?? 0;
  // Buffers of the kernel take some ten megabytes.
  console.database.addOperations(Array.from({ length: 100 }, () => recent({ app: "x".repeat(200_000) })));
  await expect.poll(seen).toBe(100);

  console.database.addOperations(Array.from({ length: 5 }, () => recent()));
  await expect.poll(seen).toBe(105);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    // The large ones need not be kept.
    text = `${text}${chunk}`.slice(-100_000);
  });

  await expect
    .poll(() => {
      console.database.addOperations([recent()]);
      return /event: missed\ndata: \{"count":(?:[5-9]|\d\d+)\}/.test(text);
    })
    .toBe(true);
  socket.destroy();
  reader.close();
});

test("an organisation has so many live views at a time, and no other is kept out", async () => {
  const token = await bearer("acme", "machines:read");
  const views = await Promise.all(Array.from({ length: 16 }, () => watch("/api/live", token)));

  const more = await console.get("/api/live", token);
  const other = await watch("/api/live", await bearer("rival", "machines:read"));

  expect(views.map(({ response }) => response.status)).toEqual(views.map(() => 200));
  expect([more.status, other.response.status]).toEqual([429, 200]);
  views[0]?.close();
  await expect
    .poll(async () => {
      const again = await watch("/api/live", token);
      again.close();
      return again.response.status;
    })
    .toBe(200);
  for (const view of [...views, other]) view.close();
});
