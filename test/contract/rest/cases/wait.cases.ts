import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";
import { requestsOf } from "./requests.ts";

const WAIT_RANGE =
  "invalid_argument: invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]";
const NO_RESTART = { restart: { policy: "no" } };

/** Waits as published clients rely on them. */
export function waitCases(rest: () => RestFleet): void {
  const { call, ok } = requestsOf(rest);
  let app: string;
  const path = (id: string) => `/apps/${app}/machines/${id}`;

  beforeAll(async () => {
    app = await rest().app();
  });

  describe("waits", () => {
    test.each([
      "state=started",
      "state=stopped&state=started",
      "state=stopped,started",
      "state=settled",
      "timeout=5&state=started&status=whatever",
      "timeout=5s",
      "timeout=1m0s",
      "",
    ])("a wait takes %s", async (query) => {
      const { id, instance_id } = await rest().machine(app, NO_RESTART);

      expect(await ok("GET", `${path(id)}/wait?${query}`)).toMatchObject({
        ...{ ok: true, state: "started", version: instance_id, event_id: expect.any(String) },
      });
    });

    test.each(["timeout=61", "timeout=0.5", "timeout=2m", "timeout=500ms", "timeout=-1", "timeout=-1s"])(
      "%s is out of range",
      async (query) => {
        const { id } = await rest().machine(app, {}, { skip_launch: true });

        const { status, json } = await call("GET", `${path(id)}/wait?${query}`);

        expect({ status, error: json.error }).toEqual({ status: 400, error: WAIT_RANGE });
      },
    );

    test("one that runs out says what it waited for and what there is", async () => {
      const { id } = await rest().machine(app, NO_RESTART);

      const { status, json } = await call("GET", `${path(id)}/wait?state=stopped&timeout=1`);

      expect({ status, error: json.error }).toEqual({
        status: 408,
        error: "deadline_exceeded: machine failed to reach desired state, stopped, currently started",
      });
    });

    test("what can no longer come ends at once", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      await ok("DELETE", path(id));

      const { status } = await call("GET", `${path(id)}/wait?state=started&timeout=60`);

      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(status).not.toBe(408);
    });

    test("one for a version that was replaced says so", async () => {
      const { id, instance_id } = await rest().machine(app, NO_RESTART, { skip_launch: true });
      await ok("POST", path(id), { config: { image: rest().image } });

      for (const name of ["version", "instance_id"]) {
        const { status, json } = await call("GET", `${path(id)}/wait?state=started&${name}=${instance_id}`);
        expect(status).toBe(412);
        expect(json.error).toBe(
          "failed_precondition: machine failed to reach desired state, started, currently replaced",
        );
      }
    });

    test("what another call brings about is waited for", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      const waiting = ok("GET", `${path(id)}/wait?state=started&timeout=30`);
      await ok("POST", `${path(id)}/start`);

      expect(await waiting).toMatchObject({ ok: true, state: "started" });
    });

    test("from an event on, the present state does not count", async () => {
      const { id } = await rest().machine(app, NO_RESTART);
      const { event_id } = await ok("GET", `${path(id)}/wait?state=started`);

      const { status } = await call(
        "GET",
        `${path(id)}/wait?state=started&timeout=1&from_event_id=${event_id}`,
      );
      expect(status).toBe(408);
      const waiting = ok("GET", `${path(id)}/wait?state=started&timeout=30&from_event_id=${event_id}`);
      await ok("POST", `${path(id)}/restart`);
      expect((await waiting).event_id > event_id).toBe(true);
    });

    test("an unknown state is refused", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });

      expect(await call("GET", `${path(id)}/wait?state=flying`)).toMatchObject({ status: 400 });
    });
  });
}
