import { expect, test } from "vitest";
import { librariesIn } from "./programs.ts";

test("libraries and the loader are found, and what the kernel provides is left out", () => {
  const listed = [
    "\tlinux-vdso.so.1 (0x00007fadb4c1e000)",
    "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007fadb4b2c000)",
    "\tlibgone.so.1 => not found",
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007fadb4c20000)",
  ].join("\n");

  expect(librariesIn(listed)).toEqual(["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
});
