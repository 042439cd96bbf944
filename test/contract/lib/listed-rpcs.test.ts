import { expect, test } from "vitest";
import { RULES } from "../../../src/api/service-rules.ts";
import { RPCS } from "../../clients/go/rpcs.ts";

test("every public RPC has its calls by grpcurl", () => {
  // What an api serves without a rule is refused, so that the rules name all RPCs.
  const isPublic = ([, { scopes }]: readonly [string, { readonly scopes: readonly string[] }]) =>
    !scopes.includes("internal");
  const paths = [...RULES].filter(isPublic).map(([path]) => path.slice(1));

  expect(RPCS.map(({ method }) => method).sort()).toEqual(paths.sort());
});
