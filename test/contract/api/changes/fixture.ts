import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { type ChangeCalls, changeCalls } from "../../../support/change-calls.ts";
import { type TestApi, World } from "../fixture.ts";

export const NEW_DIGEST = `sha256:${"cd".repeat(32)}`;
export const DOUBLE = { guest: { memoryMb: 512 } };

/** A host, an api and calls of its user. They are there when the tests of a file run. */
export let world: World;
export let api: TestApi;
export let user: ChangeCalls;
/** A machine that runs; each test has another one. */
export let id: string;

/** Starts them for the tests of a file, and makes each test its machine. */
export function withMachine(): void {
  beforeAll(async () => {
    world = await World.open(1);
    api = await world.api();
    user = changeCalls(api.user);
    await api.user.createApp("web");
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    await world.clear();
    world.images.fault = undefined;
    world.images.run = {};
    await limit("standing = 'good', quota_memory_mb = 65536, quota_image_mb = 1048576");
    // A test may have had it banned, which an api forgets when it asks again.
    await expect.poll(() => api.revocations.isSuspended("personal")).toBe(false);
    id = (await api.user.create({ skipLaunch: false, config: { env: { A: "1" } } })).machine?.id ?? "";
  });
}

/** Changes the organisation: its standing, its quota. */
export async function limit(change: string): Promise<void> {
  await world.sql(`update organizations set ${change} where slug = 'personal'`);
}

/** Memory that counts, as the organisation sees it. */
export async function usedMb(): Promise<number> {
  const { orgs } = api.admin;
  return await new Promise((resolve, reject) => {
    orgs.getOrganization({ slug: "personal" }, (err, response) =>
      err ? reject(err) : resolve(Number(response.organization?.memoryMbUsed)),
    );
  });
}
