import fc from "fast-check";
import { expect, test } from "vitest";
import { TestHost, TestTime } from "../../../test/support/scheduler/fixture.ts";
import type { AttachedHost } from "./attached-host.ts";
import { Hosts } from "./hosts.ts";
import { ImageHosts } from "./image-hosts.ts";

/** The digest whose first four bytes are these. */
function digest(hint: number): string {
  return `sha256:${hint.toString(16).padStart(8, "0")}${"a".repeat(56)}`;
}

function someHosts(count: number): AttachedHost[] {
  const hosts = new Hosts(new TestTime());
  return Array.from({ length: count }, (_, i) => new TestHost(hosts, i).host);
}

test("has for each image exactly the hosts whose last hints name it", () => {
  const fleet = someHosts(5);
  // On both sides of what is a negative number to a signed integer, and some twice.
  const hint = fc.constantFrom(0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff);
  const word = fc.record({ host: fc.nat(4), hints: fc.array(hint, { maxLength: 8 }), goes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const images = new ImageHosts();
      const model = new Map<AttachedHost | undefined, Set<number>>();
      for (const { host: number, hints, goes } of words) {
        const host = fleet[number];
        if (!host) continue;
        if (goes) images.drop(host);
        else images.set(host, hints);
        model.set(host, new Set(goes ? [] : hints));
      }
      for (const one of [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
        const expected = fleet.filter((host) => model.get(host)?.has(one));
        const known = images.of(digest(one));
        expect(new Set(known)).toEqual(new Set(expected));
        expect(known).toHaveLength(expected.length);
      }
    }),
  );
});

test("a digest that is no sha256 is nowhere", () => {
  const images = new ImageHosts();
  for (const host of someHosts(1)) images.set(host, [0xabc, 0]);

  for (const odd of ["", "sha256:", "sha256:zz", "sha512:00000abc", "00000abc"])
    expect(images.of(odd)).toEqual([]);
});

test("keeps 4,096 images of a host", () => {
  const images = new ImageHosts();
  for (const host of someHosts(1))
    images.set(
      host,
      Array.from({ length: 10_000 }, (_, i) => i),
    );

  expect(images.of(digest(4_095))).toHaveLength(1);
  expect(images.of(digest(4_096))).toHaveLength(0);
});

test("more images than the bound are left out until there is room", () => {
  const images = new ImageHosts(5);
  const [first, second] = someHosts(2);
  if (!first || !second) throw new Error("there are two");
  images.set(first, [1, 2, 3]);
  images.set(second, [1, 2, 3]);
  expect([1, 2, 3].map((hint) => images.of(digest(hint)).length)).toEqual([2, 2, 1]);

  images.drop(first);
  images.set(second, [1, 2, 3, 4, 5, 6]);

  expect([1, 2, 3, 4, 5, 6].map((hint) => images.of(digest(hint)).length)).toEqual([1, 1, 1, 1, 1, 0]);
});
