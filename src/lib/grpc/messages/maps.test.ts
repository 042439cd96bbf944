import fc from "fast-check";
import { expect, test } from "vitest";
import { MachineConfig } from "../../../gen/windhover/machines/v1/machine.ts";
import { mapFromProto, mapToProto } from "./maps.ts";

const names = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", ""),
  fc.string(),
);

test("a map keeps every name over the wire, a domain's copy and JSON", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, fc.string())), (entries) => {
      const env = new Map(entries);
      const sent = MachineConfig.decode(MachineConfig.encode({ ...MachineConfig.create(), env }).finish());

      const record = mapFromProto(sent.env);
      const stored: Record<string, string> = JSON.parse(JSON.stringify({ ...record }));

      expect(Object.getPrototypeOf(record)).toBeNull();
      expect(new Map(mapToProto(stored))).toEqual(env);
    }),
  );
});

test("an absent map is empty, and has no names of its own", () => {
  expect(mapFromProto(undefined)["constructor"]).toBeUndefined();
  expect(mapToProto(undefined).size).toBe(0);
});
