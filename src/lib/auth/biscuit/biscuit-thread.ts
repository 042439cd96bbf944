/** A thread that makes and opens Biscuits; see biscuits.ts. */
import { parentPort } from "node:worker_threads";
import { BiscuitCodec, type CodecRequest } from "./biscuit-codec.ts";

const codec = await BiscuitCodec.load();

parentPort?.on("message", ({ id, request }: { id: number; request: CodecRequest }) => {
  try {
    parentPort?.postMessage({ id, response: codec.run(request) });
  } catch (err) {
    // The library throws plain objects, e.g. {"Format":{"Signature":...}}. An Error is a panic.
    const isBroken = err instanceof Error;
    parentPort?.postMessage({ id, error: isBroken ? err.message : JSON.stringify(err), isBroken });
  }
});
