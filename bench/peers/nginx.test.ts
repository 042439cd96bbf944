import { expect, test } from "vitest";
import { configurationOf } from "./nginx.ts";

test("nginx listens on loopback only, and all its files are in its folder", () => {
  const lines = configurationOf("/tmp/a folder", "127.0.0.1:12345", "127.0.0.1:23456")
    .split("\n")
    .map((line) => line.trim());

  expect(lines.filter((line) => line.startsWith("listen "))).toEqual(["listen 127.0.0.1:12345;"]);
  expect(lines).toContain("server 127.0.0.1:23456;");
  const files = lines.filter((line) => /^(pid|access_log|\w+_temp_path) /.test(line));
  expect(files).toHaveLength(7);
  for (const line of files) expect(line).toMatch(/^\w+ "\/tmp\/a folder\/[^"]+";$/);
});
