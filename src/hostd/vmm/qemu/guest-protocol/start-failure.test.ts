import { describe, expect, test } from "vitest";
import type { GuestState } from "./protocol.ts";
import { startFailure } from "./start-failure.ts";

describe("a failure in the guest", () => {
  const workload = {
    ...{ rootfs: "/r", argv: ["prog"], env: {}, user: "bob", workingDir: "/w" },
    ...{ hostname: "h", ports: [] },
  };
  const failure = (step: GuestState["failure"]["step"], errno: number, detail = "") =>
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
    [failure("volume", 20, "/a/b"), "exec", "bad_volume", "volume /a/b cannot be made in the image: ENOTDIR"],
    [
      failure("request", 0, "too many variables"),
      "exec",
      "bad_request",
      "the guest refused the request: too many variables",
    ],
    [
      failure("files", 20, "/etc/hosts"),
      "exec",
      "bad_etc",
      "/etc/hosts cannot be written in the image: ENOTDIR",
    ],
    [failure("files", 28, "/etc/hosts"), "vmm", "files", "the guest failed at files: /etc/hosts (ENOSPC)"],
    [failure("mount", 22, "image"), "vmm", "mount", "the guest failed at mount: image (EINVAL)"],
    [failure("exec", 60_000), "exec", "other", 'program "prog" cannot be executed: error 60000'],
  ])("%s", (error, kind, reason, message) => {
    expect(error).toMatchObject({ kind, reason, message });
  });
});
