import { describe, expect, test } from "vitest";
import { startFailure } from "../guest-channel/start-failure.ts";
import { qemuArguments } from "./command-line.ts";
import { confine, seenPaths } from "./confinement.ts";
import type { GuestAssets } from "./guest-assets.ts";

const assets: GuestAssets = {
  ...{ dir: "/d", kernel: "/d/set-1/vmlinux", initramfs: "/d/set-1/initramfs.cpio", warmUp: "" },
  scratch: { data: Buffer.alloc(0), sizeBytes: 0, extents: [] },
  ...{ kernelVersion: "6.1", hash: "h" },
};
const paths = { runDir: "/data/vms/a/run", assets, rootfs: "/images/a,b.sqfs" };
const spec = { name: "vm", shape: { cpus: 2, memoryMb: 512 }, kernel: "/k", initramfs: "/i", rootfs: "/a,b" };
const argumentAfter = (args: readonly string[], name: string): string => args[args.indexOf(name) + 1] ?? "";

describe("QEMU's arguments", () => {
  test("shape the VM and keep its QEMU to itself", () => {
    const args = qemuArguments({ ...spec, acceleration: "emulation" });

    expect([argumentAfter(args, "-smp"), argumentAfter(args, "-m")]).toEqual(["2", "512"]);
    expect(argumentAfter(args, "-sandbox")).toBe(
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    );
    expect(args).toEqual(expect.arrayContaining(["-nodefaults", "-no-user-config", "-no-reboot"]));
    expect(args.join(" ")).toContain("filename=/a,,b,read-only=on,locking=off");
  });

  test("give the kernel what only emulation may be trusted with in emulation only", () => {
    const append = (acceleration: "kvm" | "emulation") =>
      argumentAfter(qemuArguments({ ...spec, acceleration }), "-append");

    expect(append("emulation")).toContain("mitigations=off");
    expect(append("kvm")).not.toContain("mitigations");
    expect(append("kvm")).not.toContain("nokaslr");
    expect(argumentAfter(qemuArguments({ ...spec, acceleration: "kvm" }), "-cpu")).toBe("host");
  });

  test("leave the root disk out when there is no machine yet", () => {
    const { rootfs: _none, ...waiting } = spec;

    expect(qemuArguments({ ...waiting, acceleration: "emulation" }).join(" ")).not.toContain("root-file");
  });
});

describe("a confined QEMU", () => {
  const full = { hasNamespace: true, hasUid: true, shortfall: "", qemuVersion: "" };

  test("sees its own files under names that are the same for all", () => {
    expect(seenPaths(full, paths)).toEqual({
      ...{ kernel: "/guest/vmlinux", initramfs: "/guest/initramfs.cpio", rootfs: "/rootfs" },
    });
    expect(seenPaths({ ...full, hasNamespace: false }, paths).rootfs).toBe("/images/a,b.sqfs");
  });

  test("is given nothing but those, and a uid without privileges", () => {
    const { program, args } = confine(full, paths, 1234, ["-x"]);

    expect(program).toBe("bwrap");
    const bound = args.flatMap((arg, at) => (arg.endsWith("bind") ? [args[at + 1]] : []));
    expect(bound.filter((path) => !path?.startsWith("/usr") && !path?.startsWith("/lib"))).toEqual([
      ...["/d/set-1", "/images/a,b.sqfs", "/data/vms/a/run"],
    ]);
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
      tellsPid: false,
    });
  });
});

describe("a failure in the guest", () => {
  const workload = {
    ...{ machineId: "m", rootfs: "/r", argv: ["prog"], env: {}, user: "bob", workingDir: "/w" },
    ...{ hostname: "h", ports: [], watchMs: 0 },
  };
  const failure = (step: "exec" | "user" | "mount" | "working_dir", errno: number, detail = "") =>
    startFailure({ step, errno, detail }, workload);

  test.each([
    [failure("exec", 2, "prog"), "exec", "not_found", 'program "prog" does not exist in the image'],
    [failure("exec", 13, "prog"), "exec", "not_executable", 'program "prog" may not be executed (EACCES)'],
    [
      failure("exec", 8),
      "exec",
      "bad_format",
      'program "prog" is not a program this machine can run (ENOEXEC)',
    ],
    [failure("exec", 7), "exec", "other", 'program "prog" cannot be executed: E2BIG'],
    [failure("user", 0), "exec", "no_such_user", 'the image knows no user or group "bob"'],
    [failure("working_dir", 20), "exec", "bad_working_dir", "working directory /w cannot be used: ENOTDIR"],
    [failure("mount", 22, "image"), "vmm", "mount", "the guest failed at mount: image (EINVAL)"],
    [failure("exec", 60_000), "exec", "other", 'program "prog" cannot be executed: error 60000'],
  ])("%s", (error, kind, reason, message) => {
    expect(error).toMatchObject({ kind, reason, message });
  });
});
