import { describe, expect, test } from "vitest";
import { apiError, clientOf, type Done, ID, serveApi } from "./api.fixture.ts";

describe("withLease", () => {
  /** Serves leases; from the second call on, as the script says. */
  async function leasing(later: "held" | "lost") {
    const calls: string[] = [];
    const api = await serveApi({
      acquireLease: ({ request: { nonce } }: { request: { nonce: string } }, done: Done) => {
        calls.push(nonce === "" ? "acquire" : "refresh");
        if (calls.length > 1 && later === "lost") done(apiError("ABORTED", "LEASE_HELD"));
        else done(null, { lease: { nonce: "n1" } });
      },
      releaseLease: ({ request: { nonce } }: { request: { nonce: string } }, done: Done) => {
        calls.push(`release ${nonce}`);
        done(null, {});
      },
    });
    return { leases: clientOf(api).leases, calls };
  }

  test("refreshes the lease while the work goes on, and releases it at the end", async () => {
    const { leases, calls } = await leasing("held");

    const result = await leases.withLease(
      ID,
      async ({ leaseNonce, signal }) => {
        await expect.poll(() => calls.length).toBeGreaterThan(1);
        return [leaseNonce, signal.aborted];
      },
      { ttlMs: 6_000 },
    );

    expect(result).toEqual(["n1", false]);
    expect([calls[0], calls[1], calls.at(-1)]).toEqual(["acquire", "refresh", "release n1"]);
  });

  test("aborts the work when the lease is lost", async () => {
    const { leases } = await leasing("lost");

    const reason = await leases.withLease(
      ID,
      async ({ signal }) => {
        await expect.poll(() => signal.aborted).toBe(true);
        return signal.reason;
      },
      { ttlMs: 3_000 },
    );

    expect(reason).toMatchObject({ reason: "LEASE_LOST" });
  });

  test("releases the lease when the work fails", async () => {
    const { leases, calls } = await leasing("held");

    const work = leases.withLease(ID, () => Promise.reject(new Error("no")));

    await expect(work).rejects.toThrow("no");
    expect(calls).toEqual(["acquire", "release n1"]);
  });
});
