/** A thread that makes and opens Biscuits; see biscuits.ts. */
import { parentPort } from "node:worker_threads";
import type { ThreadCall, ThreadReply } from "../../threads/thread-client.ts";
import { BiscuitCodec, type CodecAnswers, type CodecFailure, type CodecRequest } from "./biscuit-codec.ts";

const codec = await BiscuitCodec.load();

parentPort?.on("message", ({ id, request }: ThreadCall<CodecRequest>) => {
  let reply: ThreadReply<CodecAnswers[keyof CodecAnswers], CodecFailure>;
  try {
    reply = { id, value: codec.run(request) };
  } catch (err) {
    // The library throws plain objects, e.g. {"Format":{"Signature":...}}. An Error is a panic.
    const isBroken = err instanceof Error;
    reply = { id, error: { message: isBroken ? err.message : JSON.stringify(err), isBroken } };
  }
  parentPort?.postMessage(reply);
});
