import { expect, test } from "vitest";
import { Host } from "../../../gen/windhover/admin/v1/hosts.ts";
import { hostDetails, hostNotes, hostRow } from "./host-text.ts";

const host = (number: number, fields: object = {}) =>
  Host.fromPartial({ number, name: `ord-${number}`, attached: true, ...fields });

test("a note that holds for several hosts appears once, with the first of their names", () => {
  const hosts = [1, 2, 3, 4, 5, 6].map((number) =>
    host(number, {
      vmmReason: "no /dev/kvm",
      statusMessage: number === 2 ? "the database did not answer" : "",
    }),
  );

  expect(hostNotes(hosts, 0)).toEqual([
    "ord-1, ord-2, ord-3, ord-4 and 2 more: VMM: no /dev/kvm",
    "ord-2: the database did not answer",
  ]);
});

test("an amount leaves out what is zero", () => {
  const details = (allocated: object) => hostDetails(host(1, { allocated }), 0).join("\n");

  expect(details({ cpus: 0, memoryMb: 0n, diskMb: 2_048n })).toMatch(/allocated +2 GB disk$/m);
  expect(details({ cpus: 1, memoryMb: 256n, diskMb: 0n })).toMatch(/allocated +1 CPU, 256 MB$/m);
  expect(details({})).toMatch(/allocated +-$/m);
});

test("unknown values of a host that is not attached are question marks", () => {
  const detached = host(1, { attached: false });

  expect(hostDetails(detached, 0).join("\n")).toMatch(
    /scheduling +not known while it is not attached\n[\s\S]*warm +\?/,
  );
  expect(hostRow(detached, 0)).toContain("?");
});
