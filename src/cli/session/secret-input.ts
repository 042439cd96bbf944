import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { UsageError } from "./faults/usage-error.ts";
import type { Session } from "./session.ts";

/** Asks a person for a line. @param isSecret shows nothing of what is typed @throws UsageError when the input ends instead */
export async function ask(session: Session, question: string, isSecret = false): Promise<string> {
  session.terminal.err(`${question}: `);
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nothing, terminal: isSecret });
  // Raw mode ends with it, and Ctrl-C comes from it then.
  lines.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const { promise: over, reject } = Promise.withResolvers<never>();
  lines.once("close", () => reject(new UsageError("Nothing was typed.")));
  over.catch(() => {});
  try {
    return await Promise.race([lines.question("", { signal: session.signal }), over]);
  } finally {
    lines.close();
    if (isSecret) session.terminal.err("\n");
  }
}

/** Reads a secret from standard input: all of it, without the end of its last line; from a person, a line that is not shown. */
export async function readSecret(session: Session, question: string): Promise<string> {
  if (process.stdin.isTTY) return await ask(session, question, true);
  return (await text(process.stdin)).replace(/\r?\n$/, "");
}
