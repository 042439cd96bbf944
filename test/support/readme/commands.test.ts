import { expect, test } from "vitest";
import { commandsOf, learnNames, missingLines, withNames } from "./commands.ts";

const DOCUMENT = `# Title
\`\`\`sh
npm start   # explained
one --a \\
  --b
\`\`\`

\`\`\`ts
not.a.command();
\`\`\`

\`\`\`console
$ hover machine run nginx
00001f3c2a4b5d started in 87 ms (warm)
  address   127.0.0.1:20001 → 80/tcp
$ curl http://127.0.0.1:20001/ -d '{
    "a": 1
  }'
{}
$ hover machine stop ID
\`\`\`

<!-- not run -->
\`\`\`sh
reboot
\`\`\`
`;

test("commands are read with their output, and other blocks are not", () => {
  expect(commandsOf(DOCUMENT)).toEqual([
    { command: "npm start   # explained", output: [], line: 3 },
    { command: "one --a \\\n  --b", output: [], line: 4 },
    {
      command: "hover machine run nginx",
      output: ["00001f3c2a4b5d started in 87 ms (warm)", "  address   127.0.0.1:20001 → 80/tcp"],
      line: 13,
    },
    { command: `curl http://127.0.0.1:20001/ -d '{\n    "a": 1\n  }'`, output: ["{}"], line: 16 },
    { command: "hover machine stop ID", output: [], line: 20 },
  ]);
});

test("output is compared by its shape, and lines may be left out", () => {
  const actual = [
    "0000aaaaaaaaaa started in 1.02 s (cold)",
    "  host      ord-2, region ord",
    "last one",
    "end",
  ];

  expect(missingLines(["00001f3c2a4b5d started in 87 ms (warm)", "...", "last ...", "end"], actual)).toEqual(
    [],
  );
  expect(missingLines(["00001f3c2a4b5d stopped in 87 ms", "end", "last one"], actual)).toEqual([
    "00001f3c2a4b5d stopped in 87 ms",
    "last one",
  ]);
});

test("ids and addresses of the document stand for those of the run", () => {
  const names = new Map<string, string>();

  learnNames(
    ["00001f3c2a4b5d started", "127.0.0.1:20001 → 80/tcp"],
    ["0000aaaaaaaaaa started", "127.0.0.1:23007 → 80/tcp"],
    names,
  );

  expect(withNames("hover machine stop 00001f3c2a4b5d ID", names)).toBe(
    "hover machine stop 0000aaaaaaaaaa 0000aaaaaaaaaa",
  );
  expect(withNames("curl http://127.0.0.1:20001/", names)).toBe("curl http://127.0.0.1:23007/");
});
