import { glob } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { RULES as API } from "../../../src/api/service-rules.ts";
import { RULES as HOSTD } from "../../../src/hostd/service-rules.ts";
import { RULES as IMAGECACHE } from "../../../src/imagecache/service-rules.ts";
import { fieldOf } from "../../../src/lib/auth/rpc-rules.ts";
import { RULES as SCHEDULER } from "../../../src/scheduler/service-rules.ts";

const GEN = new URL("../../../src/gen/windhover/", import.meta.url);

interface Codec {
  fromPartial(value: object): object;
}

/** Every method of every service, by path, and the codecs of messages by name. */
const methods = new Map<string, unknown>();
const codecs = new Map<string, Codec>();
for await (const file of glob("**/*.ts", { cwd: GEN.pathname })) {
  const module: Record<string, unknown> = await import(new URL(file, GEN).href);
  for (const [name, value] of Object.entries(module)) {
    if (name.endsWith("ServiceService")) {
      for (const method of Object.values(Object(value))) methods.set(Object(method)["path"], Object(method));
    }
    if (typeof Object(value)["fromPartial"] === "function")
      codecs.set(join(dirname(file), name), value as Codec);
  }
}

const RULES = [...API, ...HOSTD, ...IMAGECACHE, ...SCHEDULER];

function codecOf(path: string, kind: "Request" | "Response") {
  const [, service = "", , method = ""] = /^\/windhover\.(\w+)\.v1\.(\w+)\/(\w+)$/.exec(path) ?? [];
  return codecs.get(`${service}/v1/${method}${kind}`);
}

describe("the rules of RPCs", () => {
  test("are there for every method of every service, once", () => {
    const paths = RULES.map(([path]) => path);

    expect(methods.size).toBeGreaterThan(50);
    expect(paths.toSorted()).toEqual([...methods.keys()].toSorted());
  });

  const named = RULES.filter(([, { object, org, made }]) =>
    [object, org, made].some((field) => field !== undefined),
  );
  test.each(named)("%s names fields that there are", (path, rule) => {
    const [first = "", ...rest] = (rule.object ?? "").split(".");
    const partial = rest.length === 0 ? {} : { [first]: {} };
    const request = codecOf(path, "Request")?.fromPartial(partial);
    for (const field of [rule.object, rule.org]) {
      if (field !== undefined) expect(request).toHaveProperty(field);
    }
    if (rule.made !== undefined) {
      const [outer = "", ...inner] = rule.made.split(".");
      const part = inner.length === 0 ? "x" : { [inner[0] ?? ""]: "x" };
      const response = codecOf(path, "Response")?.fromPartial({ [outer]: part });
      expect(fieldOf(response, rule.made)).toBe("x");
    }
  });

  test("audit what changes something, and name it; their actions say which it is", () => {
    const audited = RULES.filter(([, { isAudited }]) => isAudited);
    const unaudited = RULES.filter(([, { isAudited }]) => !isAudited);
    const nameless = audited.filter(([, { object, made }]) => object === undefined && made === undefined);

    expect(audited.map(([, { action }]) => action)).toEqual(
      expect.arrayContaining(["machines:create", "machines:start", "tokens:revoke", "hosts:drain"]),
    );
    // The object of this one is the host itself.
    expect(nameless.map(([path]) => path)).toEqual(["/windhover.hostd.v1.HostService/SetScheduling"]);
    const verbs = unaudited.map(([, { action }]) => action.split(":")[1]?.split("-")[0]);
    expect(new Set(verbs)).toEqual(
      new Set([
        ...["get", "list", "read", "watch", "wait", "logs", "estimate"],
        // Reports that repeat what the log has already.
        ...["announce", "report", "attach", "reconcile"],
      ]),
    );
  });
});
