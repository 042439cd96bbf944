import { expect, test } from "vitest";
import { targetOf } from "./own-requests.ts";

const OWN = { id: "00001aaaaaaaaa", app: "web" };

test.each(["/v1/machines/self///", `/v1/apps/web/machines/${OWN.id}/`])(
  "slashes at the end of %s change nothing",
  (path) => {
    expect(targetOf("GET", path, OWN)).toEqual({ kind: "get" });
  },
);

test.each(["/v1/machines/self/metadata/a", "/v1/machines/self//x"])(
  "what is below %s is not the machine",
  (path) => {
    expect(targetOf("GET", path, OWN)).toEqual({
      kind: "pass",
      path: path.replace("/v1/machines/self", `/v1/apps/web/machines/${OWN.id}`),
    });
  },
);

test("the time that a path takes grows with its length, not with the square of it", () => {
  const path = `/v1/machines/self/${"/".repeat(250_000)}x`;

  expect(targetOf("GET", path, OWN)).toMatchObject({ kind: "pass" });
});
