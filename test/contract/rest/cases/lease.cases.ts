import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";
import { requestsOf } from "./requests.ts";

const NO_RESTART = { restart: { policy: "no" } };

/** Leases, metadata and creates that are repeated, as published clients rely on them. */
export function leaseCases(rest: () => RestFleet): void {
  const { call, ok } = requestsOf(rest);
  let app: string;
  const path = (id: string) => `/apps/${app}/machines/${id}`;

  describe("leases and what they do not guard", () => {
    beforeAll(async () => {
      app = await rest().app();
    });

    describe("leases", () => {
      const nonceHeader = "fly-machine-lease-nonce";
      let id: string;
      beforeEach(async () => {
        ({ id } = await rest().machine(app, NO_RESTART, { skip_launch: true }));
      });
      const acquire = async (query = "?ttl=60", body?: object) =>
        (await ok("POST", `${path(id)}/lease${query}`, body)).data;

      test.each([
        ["?ttl=45", undefined],
        ["", { ttl: 45 }],
        ["", { ttl: "45", description: "deploy" }],
        ["", { ttl: "45s" }],
        ["?ttl=abc&ttl=45", undefined],
      ])("the TTL is in the query or the body: %s %j", async (query, body) => {
        const before = Math.floor(Date.now() / 1_000);
        const { status, json } = await call("POST", `${path(id)}/lease${query}`, body);

        expect({ status, json }).toMatchObject({
          status: 201,
          json: { status: "success", data: { nonce: expect.any(String), version: expect.any(String) } },
        });
        expect(json.data.expires_at).toBeGreaterThanOrEqual(before + 44);
        expect(json.data.expires_at).toBeLessThan(before + 75);
      });

      test("a held lease says by whom and until when, in both members that clients read", async () => {
        const { owner } = await acquire();

        for (const answer of [
          await call("POST", `${path(id)}/lease?ttl=5`),
          await call("POST", `${path(id)}/start`),
        ]) {
          expect(answer).toMatchObject({ status: 409, json: { status: "error", code: "invalid" } });
          expect(answer.json.message).toMatch(
            new RegExp(
              `^machine ID ${id} lease currently held by ${owner}, expires at \\d{4}-\\d\\d-\\d\\dT`,
            ),
          );
          expect(answer.json.error).toContain("lease currently held by");
        }
      });

      test.each(["start", "stop", "restart", "cordon", "uncordon"])("guards %s", async (verb) => {
        const { nonce } = await acquire();

        expect((await call("POST", `${path(id)}/${verb}`)).status).toBe(409);
        expect(
          (await call("POST", `${path(id)}/${verb}`, undefined, { [nonceHeader]: "wrong" })).status,
        ).toBe(409);
        expect((await call("POST", `${path(id)}/${verb}`, undefined, { [nonceHeader]: nonce })).status).toBe(
          200,
        );
      });

      test("comes with an update that asks for one, and not with one that is refused", async () => {
        const config = { image: rest().image };
        const update = (more: object, nonce = "") =>
          call("POST", path(id), { config, ...more }, { [nonceHeader]: nonce });

        expect((await update({ lease_ttl: 60, current_version: "stale" })).status).toBe(409);
        expect((await call("GET", `${path(id)}/lease`)).json.error).toBe("lease not found");
        const { nonce } = (await update({ lease_ttl: 60 })).json;
        expect(nonce).toMatch(/^[0-9a-f]+$/);
        expect((await update({ lease_ttl: 60 })).json.error).toContain("lease currently held by");
        expect((await update({ lease_ttl: 90 }, nonce)).json.nonce).toBe(nonce);
      });

      test("guards suspending", async () => {
        const { nonce } = await acquire();
        const suspend = (headers: Record<string, string>) =>
          call("POST", `${path(id)}/suspend`, undefined, headers);

        expect((await suspend({})).json.error).toContain("lease currently held by");
        expect((await suspend({ [nonceHeader]: "wrong" })).status).toBe(409);
        expect((await suspend({ [nonceHeader]: nonce })).status).toBe(412);
      });

      test("guards destroying, and not reads, waits and metadata", async () => {
        const { nonce } = await acquire();

        expect((await call("DELETE", `${path(id)}?force=true`)).status).toBe(409);
        expect((await call("GET", path(id))).status).toBe(200);
        expect((await call("GET", `${path(id)}/wait?state=created`)).status).toBe(200);
        expect((await call("POST", `${path(id)}/metadata/a`, { value: "b" })).status).toBe(204);
        const several = { metadata: { a: "1", b: "2" } };
        expect((await call("PUT", `${path(id)}/metadata`, several)).status).toBe(204);
        expect(await ok("DELETE", path(id), undefined, { [nonceHeader]: nonce })).toEqual({ ok: true });
      });

      test("the nonce refreshes and is kept, and get tells it", async () => {
        const { nonce, expires_at } = await acquire("?ttl=30");
        const refreshed = await ok("POST", `${path(id)}/lease?ttl=300`, undefined, { [nonceHeader]: nonce });

        expect(refreshed.data.nonce).toBe(nonce);
        expect(refreshed.data.expires_at).toBeGreaterThan(expires_at);
        expect((await ok("GET", `${path(id)}/lease`)).data).toMatchObject({ nonce });
      });

      test("a lease outlives an update made under it, and guards updates", async () => {
        const { nonce } = await acquire();
        const config = { image: rest().image, env: { A: "1" } };

        expect((await call("POST", path(id), { config })).status).toBe(409);
        await ok("POST", path(id), { config }, { [nonceHeader]: nonce });
        expect((await ok("GET", `${path(id)}/lease`)).data).toMatchObject({ nonce });
        expect((await call("POST", path(id), { config })).status).toBe(409);
      });

      test("a release with a wrong nonce changes nothing, one with the right one frees it", async () => {
        const { nonce } = await acquire();

        const wrong = await call("DELETE", `${path(id)}/lease`, undefined, { [nonceHeader]: "0".repeat(32) });
        expect(wrong.status).toBeGreaterThanOrEqual(400);
        expect((await ok("GET", `${path(id)}/lease`)).data).toMatchObject({ nonce });
        expect(await ok("DELETE", `${path(id)}/lease`, undefined, { [nonceHeader]: nonce })).toEqual({
          ...{ status: "success", data: { ok: true } },
        });
        expect((await call("GET", `${path(id)}/lease`)).status).toBe(404);
        expect(await ok("POST", `${path(id)}/start`)).toMatchObject({ previous_state: "created" });
      });

      test("a create can take one, and lists tell who holds it without the nonce", async () => {
        const created = await rest().machine(app, {}, { skip_launch: true, lease_ttl: 60 });

        expect(created.nonce).toMatch(/^[0-9a-f]{32}$/);
        const list = await call("GET", `/apps/${app}/machines?include_leases=true`);
        expect(list.text).not.toContain(created.nonce);
        const held = list.json.find((each: { id: string }) => each.id === created.id);
        expect(held).toMatchObject({ lease: { owner: expect.any(String) } });
        expect(await ok("GET", path(created.id))).not.toHaveProperty("nonce");
      });

      test("deleting an app ignores them", async () => {
        const other = await rest().app();
        const leased = await rest().machine(other, {}, { skip_launch: true, lease_ttl: 60 });

        expect(await call("DELETE", `/apps/${other}`)).toMatchObject({ status: 202, text: "" });
        expect(await call("GET", `/apps/${other}`)).toMatchObject({ status: 404 });
        expect(await ok("GET", `/apps/${other}/machines/${leased.id}`)).toMatchObject({ state: "destroyed" });
      });
    });

    describe("creates that are repeated", () => {
      const create = (key: string, name: string) =>
        call(
          "POST",
          `/apps/${app}/machines`,
          { name, config: { image: rest().image } },
          { "idempotency-key": key },
        );

      test("with one key make one machine, at the same time too", async () => {
        const answers = await Promise.all(Array.from({ length: 4 }, () => create("one-key", "once")));

        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
        expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1);
      });

      test("with one key and another body are refused", async () => {
        await create("other-key", "first");

        const { status, json } = await create("other-key", "second");

        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
        expect(json.error).not.toBe("");
      });
    });

    describe("metadata", () => {
      test("is written with 204 and read back", async () => {
        const { id } = await rest().machine(app, { metadata: { a: "1", b: "2" } }, { skip_launch: true });
        const metadata = `${path(id)}/metadata`;

        expect(await call("POST", `${metadata}/c`, { value: "3" })).toMatchObject({ status: 204, text: "" });
        expect(await call("PATCH", metadata, { metadata: { a: null, b: "" } })).toMatchObject({
          status: 204,
        });
        expect(await ok("GET", metadata)).toEqual({ c: "3" });
        expect(await ok("GET", `${metadata}/c`)).toEqual({ value: "3" });
        expect((await call("GET", `${metadata}/a`)).status).toBe(404);
        expect(await call("DELETE", `${metadata}/c`)).toMatchObject({ status: 204 });
        expect(await call("DELETE", `${metadata}/c`)).toMatchObject({ status: 204 });
        expect(await ok("GET", metadata)).toEqual({});
      });

      test("of a stale version is refused with 412", async () => {
        const { id } = await rest().machine(app, {}, { skip_launch: true });

        const body = { metadata: { a: "1" }, machine_version: "01KBA8Q2T3Z5B7M0V8N4D6F9HK" };
        expect((await call("PUT", `${path(id)}/metadata`, body)).status).toBe(412);
      });

      test("makes no version", async () => {
        const { id, instance_id } = await rest().machine(app, {}, { skip_launch: true });
        await call("POST", `${path(id)}/metadata/c`, { value: "3" });

        expect(await ok("GET", path(id))).toMatchObject({ instance_id, config: { metadata: { c: "3" } } });
      });
    });
  });
}
