import { expect, test } from "vitest";
import { parseChallenges } from "./challenge.ts";

test.each([
  ['Basic realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
  [
    'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: {
          realm: "https://auth.example/token",
          service: "registry",
          scope: "repository:a/b:pull,push",
        },
      },
    ],
  ],
  [
    'Negotiate, Bearer REALM=https://t ,  error = "a \\"b\\", c", Basic realm=""',
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "bearer", parameters: { realm: "https://t", error: 'a "b", c' } },
      { scheme: "basic", parameters: { realm: "" } },
    ],
  ],
  ["", []],
  [',"', []],
])("%s", (header, expected) => {
  expect(parseChallenges(header)).toEqual(expected);
});
