import { Fault } from "../../src/lib/faults/fault.ts";

/** Returns the fault that `work` fails with. @throws Error when it does not fail, or with another error */
export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
  throw new Error("it did not fail");
}
