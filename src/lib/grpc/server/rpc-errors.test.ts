import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { drain, type Echo, echo, failure, type Text } from "../../../../test/support/net/echo.ts";
import { Fault } from "../../faults/fault.ts";
import { startTelemetry } from "../../otel/telemetry.ts";
import { createLogger } from "../../runtime/log.ts";
import { openDuplex } from "../calls/duplex.ts";
import { call, openStream } from "../client.ts";
import { MAX_MESSAGE_BYTES } from "../options.ts";
import { bidiStream, serverStream, unary } from "./rpc.ts";

startTelemetry({});
const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

const soon = { timeoutMs: 15_000 };

describe("errors", () => {
  test("a fault reaches the caller whole: code, reason, message, facts, violations and delay", async () => {
    const sent = new Fault(
      "RESOURCE_EXHAUSTED",
      "NO_CAPACITY",
      "no host has 512 MiB ✓",
      { memory_mib: "512" },
      { violations: [{ field: "a.b", description: "is wrong" }], retryAfterMs: 1_250 },
    );
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      message: "no host has 512 MiB ✓",
      facts: { memory_mib: "512" },
      violations: [{ field: "a.b", description: "is wrong" }],
      retryAfterMs: 1_250,
    });
  });

  test.each(["one", "down", "both"] as const)(
    "an error that is no fault becomes INTERNAL without its text, and is logged once with its causes (%s)",
    async (shape) => {
      lines.length = 0;
      const fail = (): never => {
        throw new Error("password hunter2", { cause: new Error("root of it") });
      };
      await using service = await echo({
        one: unary(fail),
        down: serverStream(fail),
        both: bidiStream(fail),
      });

      const got = await failure(invoke(service, shape));

      expect(got).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
      expect(JSON.stringify({ ...got, message: got.message, cause: String(got.cause) })).not.toContain(
        "hunter2",
      );
      expect(got.facts["trace_id"]).toMatch(/^[0-9a-f]{32}$/);
      const errors = lines.filter((line) => line["level"] === "error");
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatchObject({ msg: "a call failed", trace_id: got.facts["trace_id"] });
      expect(JSON.stringify(errors[0])).toContain("hunter2");
      expect(JSON.stringify(errors[0])).toContain("root of it");
    },
  );

  test("a stream that fails halfway delivers what came before, then the fault", async () => {
    await using service = await echo({
      down: serverStream(async function* () {
        yield { text: "first" };
        throw new Fault("ABORTED", "LOST", "lost");
      }),
    });
    const got: string[] = [];

    const error = await failure(
      (async () => {
        for await (const { text } of openStream(service.client, service.client.down, { text: "" }, soon))
          got.push(text);
      })(),
    );

    expect(got).toEqual(["first"]);
    expect(error.reason).toBe("LOST");
  });

  test("text that HTTP/2 or grpc-js cannot carry is cut or replaced, and the error still arrives", async () => {
    const sent = new Fault("INVALID_ARGUMENT", "INVALID_FIELDS", `\ud800${"x".repeat(100_000)}`, {
      field: `\udfff${"y".repeat(100_000)}`,
    });
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    expect(got.message.length).toBeLessThan(5_000);
    expect(got.facts["field"]?.length).toBeLessThan(5_000);
  });

  test("a thousand violations still arrive as an error with a reason", async () => {
    const violations = Array.from({ length: 1_000 }, (_, i) => ({
      field: `f${i}`,
      description: "z".repeat(1_000),
    }));
    const sent = new Fault("INVALID_ARGUMENT", "INVALID_FIELDS", "wrong", {}, { violations });
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got.reason).toBe("INVALID_FIELDS");
    expect(got.violations.length).toBeGreaterThan(10);
  });

  test("a request that cannot be decoded gives INTERNAL and nothing of the decoder's text", async () => {
    await using service = await echo({ one: unary((req) => req) });
    const raw = (bytes: string) =>
      new Promise<grpc.ServiceError | null>((resolve) => {
        service.client.makeUnaryRequest(
          "/test.v1.Echo/One",
          () => Buffer.from(bytes),
          String,
          {},
          (err) => resolve(err),
        );
      });

    const error = await raw("{not json");

    expect(error?.code).toBe(grpc.status.INTERNAL);
    expect(error?.details).toBe("Error deserializing request");
  });

  test("an answer that cannot be encoded gives INTERNAL, and the log says why", async () => {
    lines.length = 0;
    await using service = await echo({ one: unary(() => ({}) as Text) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got.code).toBe("INTERNAL");
    expect(got.message).not.toContain("secret");
    expect(lines).toMatchObject([
      { level: "error", msg: "an answer could not be encoded", method: "test.v1.Echo/One" },
    ]);
  });

  test("messages beyond the limit are refused, at the sender", async () => {
    const large = "x".repeat(MAX_MESSAGE_BYTES);
    await using service = await echo({
      one: unary(({ text }) => ({ text: text === "large" ? large : "small" })),
    });
    const { client } = service;

    const request = await failure(call(client, client.one, { text: large }, soon));
    const response = await failure(call(client, client.one, { text: "large" }, soon));

    expect([request.code, response.code]).toEqual(["RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]);
  });

  test("a message just below the limit passes both ways", async () => {
    const large = "x".repeat(MAX_MESSAGE_BYTES - 100);
    await using service = await echo({ one: unary((req) => req) });

    const { text } = await call(service.client, service.client.one, { text: large }, soon);

    expect(text.length).toBe(large.length);
  });
});

function invoke({ client }: Echo, shape: "one" | "down" | "both"): Promise<unknown> {
  switch (shape) {
    case "one":
      return call(client, client.one, { text: "" }, soon);
    case "down":
      return drain(openStream(client, client.down, { text: "" }, soon));
    case "both":
      return drain(openDuplex(client, client.both, soon).messages);
  }
}
