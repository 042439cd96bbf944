import { describe, expect, test } from "vitest";
import { qemuArguments } from "./command-line.ts";
import { confine, visiblePaths } from "./confinement.ts";
import type { GuestAssets } from "./guest-assets.ts";

const assets: GuestAssets = {
  ...{ kernel: "/d/set-1/vmlinux", initramfs: "/d/set-1/initramfs.cpio", warmUp: "" },
  backlog: "/d/set-1/backlog.so",
  scratch: { data: Buffer.alloc(0), sizeBytes: 0, extents: [] },
  hash: "h",
};
const paths = { runDir: "/data/vms/a/run", assets, rootfs: "/images/a,b.sqfs" };
const spec = { name: "vm", shape: { cpus: 2, memoryMb: 512 }, kernel: "/k", initramfs: "/i", rootfs: "/a,b" };
const argumentAfter = (args: readonly string[], name: string): string => args[args.indexOf(name) + 1] ?? "";

describe("QEMU's arguments", () => {
  test("set the VM's size and QEMU's sandbox", () => {
    const args = qemuArguments({ ...spec, acceleration: "emulation" });

    expect([argumentAfter(args, "-smp"), argumentAfter(args, "-m")]).toEqual(["2", "512"]);
    expect(argumentAfter(args, "-sandbox")).toBe(
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    );
    expect(args).toEqual(expect.arrayContaining(["-nodefaults", "-no-user-config", "-no-reboot"]));
    expect(args.join(" ")).toContain("filename=/a,,b,read-only=on,locking=off");
  });

  test("weaken the guest's kernel in emulation only", () => {
    const append = (acceleration: "kvm" | "emulation") =>
      argumentAfter(qemuArguments({ ...spec, acceleration, tscMhz: 2_596 }), "-append");

    expect(append("emulation")).toContain("mitigations=off");
    expect(append("emulation")).toContain("tsc_early_khz=2596000");
    expect(append("kvm")).not.toMatch(/mitigations|nokaslr|tsc/);
    expect(argumentAfter(qemuArguments({ ...spec, acceleration: "kvm" }), "-cpu")).toBe("host");
  });

  test("leave the root disk out when there is no machine yet", () => {
    const { rootfs: _none, ...waiting } = spec;

    expect(qemuArguments({ ...waiting, acceleration: "emulation" }).join(" ")).not.toContain("root-file");
  });
});

describe("a confined QEMU", () => {
  const full = { hasNamespace: true, hasUid: true, shortfall: "", qemuVersion: "" };

  test("finds its files at the same paths as all others", () => {
    expect(visiblePaths(full, paths)).toEqual({
      ...{ kernel: "/guest/vmlinux", initramfs: "/guest/initramfs.cpio", rootfs: "/rootfs" },
    });
    expect(visiblePaths({ ...full, hasNamespace: false }, paths).rootfs).toBe("/images/a,b.sqfs");
  });

  test("has access to nothing else, and a uid without privileges", () => {
    const { program, args } = confine(full, paths, 1234, ["-x"]);

    expect(program).toBe("bwrap");
    const bound = args.flatMap((arg, at) => (arg.endsWith("bind") ? [args[at + 1]] : []));
    expect(bound.filter((path) => !path?.startsWith("/usr") && !path?.startsWith("/lib"))).toEqual([
      ...["/d/set-1", "/images/a,b.sqfs", "/data/vms/a/run"],
    ]);
    expect(args.join(" ")).toContain("--setenv LD_PRELOAD /guest/backlog.so");
    const command = args.slice(args.indexOf("--") + 1);
    expect(command[0]).toBe("setpriv");
    expect(command).toEqual(expect.arrayContaining(["--reuid=1234", "--regid=1234", "--no-new-privs"]));
    expect(command.slice(-2)).toEqual(["qemu-system-x86_64", "-x"]);
  });

  test("is started directly where there is no confinement", () => {
    const none = { ...full, hasNamespace: false, hasUid: false };

    expect(confine(none, paths, 0, ["-x"])).toEqual({
      program: "qemu-system-x86_64",
      args: ["-x"],
      environment: expect.objectContaining({ LD_PRELOAD: "/d/set-1/backlog.so" }),
      reportsPid: false,
    });
  });
});
