/**
 * Every public RPC by grpcurl, which knows nothing of our code: it asks the api for its services by
 * reflection, and shows errors with their details.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../support/temporary.ts";
import { openWorld, type World } from "../../system/world/world.ts";
import { Grpcurl, type Outcome } from "./grpcurl.ts";
import { RPCS } from "./rpcs.ts";
import type { Story } from "./story.ts";

const scratch = temporaryFolder("grpcurl");
let world: World;
let grpcurl: Grpcurl;
let story: Story;

beforeAll(async () => {
  world = await openWorld(1);
  grpcurl = await Grpcurl.build(scratch.path, world.fleet.api, world.fleet.token);
  const { image, fleet } = world;
  const unknown = { machine: "", instance: "", nonce: "", token: "" };
  story = { app: "curl", image, org: "personal", host: "1", registry: fleet.registry, ...unknown };
});

afterAll(async () => {
  await world?.close();
  scratch.remove();
});

test("the services of the RPCs are those that the api reflects", async () => {
  const services = new Set(RPCS.map(({ method }) => method.split("/")[0]));

  expect(await grpcurl.services()).toEqual(expect.arrayContaining([...services]));
});

// One story: each call goes on where the one before it ended.
describe("an RPC", { shuffle: false }, () => {
  test.each(RPCS)("$method", async (rpc) => {
    const { method, requests, fails } = rpc;
    expect(requests ?? fails).toBeDefined();

    if (requests !== undefined) {
      const { answers = {}, learn, enough } = rpc;
      const outcome = await grpcurl.call(method, requests(story), enough);
      expect(outcome.error).toBeUndefined();
      const answer = outcome.answers.find((each) => isPartOf(answers, each)) ?? outcome.answers.at(-1);
      expect(answer).toMatchObject(answers);
      learn?.(answer ?? {}, story);
    }
    if (fails !== undefined) {
      const [request, reason] = fails;
      const refused = await grpcurl.call(method, [typeof request === "function" ? request(story) : request]);
      expect(reasonOf(refused)).toBe(reason);
    }
  });
});

/** Returns the reason among the details of an error. */
function reasonOf({ error }: Outcome): unknown {
  const info = error?.details.find((detail) => String(detail["@type"]).endsWith("google.rpc.ErrorInfo"));
  return info?.["reason"] ?? error;
}

/** Whether a value has all members of another. */
function isPartOf(part: unknown, whole: unknown): boolean {
  if (typeof part !== "object" || part === null) return part === whole;
  return Object.entries(part).every(([name, value]) => isPartOf(value, Object(whole)[name]));
}
