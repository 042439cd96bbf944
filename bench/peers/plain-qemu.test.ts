import { expect, test } from "vitest";
import { pickOptions, serving } from "./plain-qemu.ts";

const ARGS = [
  "qemu-system-x86_64",
  "-name",
  "vm",
  "-machine",
  "q35,memory-backend=ram,smm=off",
  "-accel",
  "tcg",
];
const REST = ["-cpu", "max", "-smp", "1", "-m", "256", "-append", "quiet nokaslr"];

test("the options of a running VM are taken over, but for what names other parts of it", () => {
  expect(pickOptions([...ARGS, ...REST])).toEqual([
    ["-machine", "q35,smm=off"],
    ["-accel", "tcg"],
    ["-cpu", "max"],
    ["-smp", "1"],
    ["-m", "256"],
    ["-append", "quiet nokaslr"],
  ]);
});

test("a VM that lacks one is no model", () => {
  expect(() => pickOptions(ARGS)).toThrow("without -cpu");
});

test("a program that serves is named to the init, and reached at a port of this machine", () => {
  const server = { command: ["/bin/serve", "-v"], port: 8080, hostPort: 12_345 };

  const options = serving(
    [
      ["-m", "256"],
      ["-append", "quiet"],
    ],
    server,
  );

  expect(options).toEqual([
    ["-m", "256"],
    ["-append", "quiet -- /bin/serve -v"],
    ["-netdev", "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:12345-:8080"],
    ["-device", "virtio-net-pci,netdev=net,romfile="],
  ]);
});
