import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../test/support/temporary.ts";
import { setTimer } from "./timer.ts";

test("what arrived during a stall is read before a timer that came due in it fires", async () => {
  const folder = temporaryFolder("timer");
  const server = createServer();
  const path = join(folder.path, "socket");
  server.listen(path);
  await once(server, "listening");
  const client = connect(path);
  const [accepted]: Socket[] = await once(server, "connection");
  try {
    const seen: string[] = [];
    client.on("data", () => seen.push("data"));
    const firing = new Promise<void>((resolve) => {
      setTimer(5, () => {
        seen.push("timer");
        resolve();
      });
    });

    // In one turn of the event loop: it is sent at once, and nobody reads until the timer is overdue.
    accepted?.write("an answer");
    stall(20);
    await firing;

    expect(seen).toEqual(["data", "timer"]);
  } finally {
    client.destroy();
    accepted?.destroy();
    server.close();
    folder.remove();
  }
});

test("never fires once it is cancelled, not even when it is due", async () => {
  let fired = 0;
  const cancel = setTimer(1, () => fired++);
  const due = new Promise<void>((resolve) => setTimeout(resolve, 1));
  stall(5);
  await due;
  cancel();

  await new Promise<void>((resolve) => setTimer(2, resolve));

  expect(fired).toBe(0);
});

function stall(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
