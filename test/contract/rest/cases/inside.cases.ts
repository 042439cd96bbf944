import { beforeAll, describe, expect, test } from "vitest";
import { MachineTokens } from "../../../../src/hostd/inside/machine-token.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { Revocations } from "../../../../src/lib/auth/revocations.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import type { RestFleet } from "../rest-fleet.ts";

/** What a program may do with the token that its host makes for its machine. */
export function insideCases(rest: () => RestFleet): void {
  describe("a machine's own token", () => {
    let app: string;
    let id: string;
    let headers: Record<string, string>;
    beforeAll(async () => {
      app = await rest().app();
      ({ id } = await rest().machine(app));
      const tokens = new MachineTokens({
        keys: { signing: () => rest().fleet.signingKey, publicKeys: () => [] },
        revocations: new Revocations(),
        clock: systemClock,
      });
      const token = await tokens.tokenOf({ id: machineId(id), spec: { org: "personal", app } });
      headers = { authorization: `Bearer ${token}` };
    });
    const ask = (method: string, path: string, body?: unknown, ofApp = app) =>
      rest().call(method, `/apps/${ofApp}/machines${path}`, body, headers);

    test("reads, creates and starts machines of its app", async () => {
      const created = await ask("POST", "", { config: { image: rest().image }, skip_launch: true });
      const other = created.json.id;

      expect(created.status).toBe(200);
      expect((await ask("POST", `/${other}/start`)).status).toBe(200);
      expect((await ask("GET", `/${other}/wait?state=started`)).status).toBe(200);
      expect((await ask("GET", `/${other}`)).json).toMatchObject({ id: other, state: "started" });
      const ids = (await ask("GET", "")).json.map((each: { id: string }) => each.id);
      expect(ids.toSorted()).toEqual([id, other].toSorted());
    });

    test.each([
      ["DELETE", "?force=true", undefined],
      ["POST", "/exec", { cmd: "true" }],
      ["POST", "/stop", {}],
      ["POST", "", { config: { image: "x" } }],
    ])("does not %s %s", async (method, path, body) => {
      expect(await ask(method, `/${id}${path}`, body)).toMatchObject({
        status: 403,
        json: { reason: "TOKEN_RESTRICTED" },
      });
    });

    test("does nothing with other apps", async () => {
      const other = await rest().app();
      const { id: machine } = await rest().machine(other);

      expect((await ask("GET", "", undefined, other)).status).toBe(403);
      expect((await ask("POST", "", { config: { image: rest().image } }, other)).status).toBe(403);
      expect((await ask("POST", `/${machine}/start`, undefined, other)).status).toBe(403);
    });
  });
}
