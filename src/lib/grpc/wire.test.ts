import { describe, expect, test } from "vitest";
import { type Echo, echo, failure, type Text } from "../../../test/support/net/echo.ts";
import { Fault } from "../faults/fault.ts";
import { createLogger } from "../runtime/log.ts";
import { bidiWire } from "./server/rpc.ts";
import { openWire, type Wire, type WireUser } from "./wire.ts";

createLogger("test", { write: () => {} });

const forever = { timeoutMs: Number.POSITIVE_INFINITY };

/** One end: notes what it is told, and does what a test wants. */
class End implements WireUser<Text> {
  wire: Wire<Text> | undefined;
  readonly heard: string[] = [];
  readonly told: string[] = [];
  readonly over = Promise.withResolvers<Fault | undefined>();
  onMessage: (text: string) => void = () => {};

  received({ text }: Text): void {
    this.heard.push(text);
    this.onMessage(text);
  }

  drained(): void {
    this.told.push("drained");
  }

  finished(): void {
    this.told.push("finished");
  }

  closed(fault: Fault | undefined): void {
    this.told.push("closed");
    this.over.resolve(fault);
  }
}

/** A service whose one stream ends at `server`. */
function serving(server: End): Promise<Echo> {
  return echo({
    both: bidiWire<Text, Text>((wire) => {
      server.wire = wire;
      return server;
    }),
  });
}

function opened({ client }: Echo, user = new End(), signal?: AbortSignal): End {
  openWire<Text, Text>(client, client.both, { ...forever, ...(signal && { signal }) }, (wire) => {
    user.wire = wire;
    return user;
  });
  return user;
}

describe("a wire", () => {
  test("carries messages both ways, in order", async () => {
    const server = new End();
    server.onMessage = (text) => server.wire?.send({ text: `${text}!` });
    await using service = await serving(server);
    const client = opened(service);
    const words = Array.from({ length: 1_000 }, (_, i) => String(i));

    for (const text of words) client.wire?.send({ text });

    await expect.poll(() => client.heard.length).toBe(1_000);
    expect(client.heard).toEqual(words.map((word) => `${word}!`));
  });

  test("says when the peer is behind, loses nothing all the same, and says when there is room again", async () => {
    const server = new End();
    await using service = await serving(server);
    const client = opened(service);
    const big = "x".repeat(65_536);

    let sent = 1;
    while (client.wire?.send({ text: big }) && sent < 10_000) sent++;

    expect(sent).toBeLessThan(10_000);
    await expect.poll(() => client.told).toContain("drained");
    await expect.poll(() => server.heard.length).toBe(sent);
  });

  test("that the server ends is over for both without a fault, once", async () => {
    const server = new End();
    server.onMessage = () => {
      server.wire?.send({ text: "last" });
      server.wire?.end();
      server.wire?.end();
    };
    await using service = await serving(server);
    const client = opened(service);

    client.wire?.send({ text: "go" });

    expect(await client.over.promise).toBeUndefined();
    expect(await server.over.promise).toBeUndefined();
    expect(client.heard).toEqual(["last"]);
    expect(server.told).toEqual(["closed"]);
  });

  test("tells the server that the client sends no more, and goes on the other way", async () => {
    const server = new End();
    await using service = await serving(server);
    const client = opened(service);

    client.wire?.send({ text: "all" });
    client.wire?.end();
    await expect.poll(() => server.told).toEqual(["finished"]);
    server.wire?.send({ text: "still" });

    await expect.poll(() => client.heard).toEqual(["still"]);
    server.wire?.end();
    expect(await client.over.promise).toBeUndefined();
  });

  test.each([
    ["fails", (server: End) => server.wire?.fail(new Fault("ABORTED", "ENOUGH", "enough"))],
    [
      "throws",
      () => {
        throw new Fault("ABORTED", "ENOUGH", "enough");
      },
    ],
  ])("whose server %s gives the client its fault", async (_, how) => {
    const server = new End();
    server.onMessage = () => how(server);
    await using service = await serving(server);
    const client = opened(service);

    client.wire?.send({ text: "go" });

    expect(await client.over.promise).toMatchObject({ code: "ABORTED", reason: "ENOUGH" });
    expect(await server.over.promise).toMatchObject({ reason: "ENOUGH" });
    expect(client.wire?.send({ text: "into the void" })).toBe(true);
  });

  test("hides from the client what went wrong inside the server", async () => {
    const server = new End();
    server.onMessage = () => {
      throw new Error("secret");
    };
    await using service = await serving(server);
    const client = opened(service);

    client.wire?.send({ text: "go" });

    const fault = await client.over.promise;
    expect(fault).toMatchObject({ code: "INTERNAL" });
    expect(fault?.message).not.toContain("secret");
  });

  test("is refused when the server's end cannot be made", async () => {
    await using service = await echo({
      both: bidiWire<Text, Text>(() => {
        throw new Fault("PERMISSION_DENIED", "NO", "no");
      }),
    });

    expect(await opened(service).over.promise).toMatchObject({ reason: "NO" });
  });

  test("ends at the server, told once, when the client goes", async () => {
    const server = new End();
    await using service = await serving(server);
    const abort = new AbortController();
    const client = opened(service, new End(), abort.signal);
    client.wire?.send({ text: "here" });
    await expect.poll(() => server.heard).toEqual(["here"]);

    abort.abort(new Fault("CANCELLED", "LEAVING", "leaving"));

    expect(await client.over.promise).toMatchObject({ reason: "LEAVING" });
    expect(await server.over.promise).toMatchObject({ code: "CANCELLED" });
    expect(server.told.filter((word) => word === "closed")).toHaveLength(1);
  });

  test("whose user takes a message badly is cancelled, with that fault", async () => {
    const server = new End();
    await using service = await serving(server);
    const user = new End();
    user.onMessage = () => {
      throw new Fault("INVALID_ARGUMENT", "NONSENSE", "nonsense");
    };
    const client = opened(service, user);
    client.wire?.send({ text: "here" });
    await expect.poll(() => server.heard).toEqual(["here"]);

    server.wire?.send({ text: "nonsense" });

    expect(await client.over.promise).toMatchObject({ reason: "NONSENSE" });
    expect(await server.over.promise).toMatchObject({ code: "CANCELLED" });
  });

  test("is none when its user cannot be made", async () => {
    await using service = await serving(new End());
    const { client } = service;

    const opening = Promise.resolve().then(() =>
      openWire<Text, Text>(client, client.both, forever, () => {
        throw new Fault("INVALID_ARGUMENT", "NOT_READY", "not ready");
      }),
    );

    expect(await failure(opening)).toMatchObject({ reason: "NOT_READY" });
  });
});
