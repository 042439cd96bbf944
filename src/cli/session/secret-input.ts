import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Session } from "./session.ts";

/** Asks a person for a line. @param isSecret shows nothing of what is typed */
export async function ask(session: Session, question: string, isSecret = false): Promise<string> {
  session.terminal.err(`${question}: `);
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nothing, terminal: isSecret });
  // Raw mode ends with it, and Ctrl-C comes from it then.
  lines.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return await lines.question("", { signal: session.signal });
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
