import type { Writable } from "node:stream";
import { AttemptError, type MachineAnswer } from "../backend/answer.ts";
import type { AnswerHead, Exchange } from "../exchange.ts";
import type { Attempt } from "./attempt.ts";

/**
 * Passes an answer on, as fast as the client takes it, until its end has been written.
 *
 * @param onBytes hears of every chunk
 * @throws AttemptError when the machine breaks off; Error when the client leaves; ProxyError when
 *   it does not take the rest
 */
export function relay(
  answer: MachineAnswer,
  head: AnswerHead,
  exchange: Exchange,
  attempt: Attempt,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { body } = answer;
  let out: Writable;
  try {
    out = exchange.begin(head, answer.isEmpty);
  } catch (cause) {
    // Node refuses to write headers that would not be one well-formed answer.
    return Promise.reject(new AttemptError("begun", cause));
  }
  if (out.destroyed) return Promise.reject(new Error("the client has left"));
  let isEnded = false;
  attempt.whenStalled(reject);
  const resume = () => body.resume();
  out.on("drain", resume);
  out.once("finish", () => {
    onBytes(0);
    resolve();
  });
  out.once("close", () => {
    out.off("drain", resume);
    if (out.writableFinished) resolve();
    else reject(new Error("the client has left"));
  });
  body.on("data", (chunk: Buffer) => {
    onBytes(chunk.length);
    if (!out.write(chunk)) body.pause();
  });
  body.once("end", () => {
    if (!answer.isWhole()) {
      reject(brokenOff());
      return;
    }
    isEnded = true;
    exchange.trail(answer.trailers());
    out.end();
  });
  body.on("error", (cause) => reject(new AttemptError("begun", cause)));
  body.once("close", () => {
    if (!isEnded) reject(brokenOff());
  });
  return promise;
}

function brokenOff(): AttemptError {
  return new AttemptError("begun", new Error("the machine has broken off its answer"));
}
