import type { Duplex } from "node:stream";
import type { RequestRecord } from "../../answers/request-record.ts";
import { join, type Passed } from "../../tcp/join.ts";
import type { MachineAnswer } from "../backend/answer.ts";
import type { AnswerHead, Exchange } from "../exchange.ts";

/** Connections that changed their protocol may be silent for so long, when the service does not say longer. */
const CHANGED_IDLE_MS = 3_600_000;

/**
 * Tells a client that the protocol has changed, and passes bytes both ways until both ends have ended.
 *
 * @throws Error when the machine has not changed to what the client wants
 */
export async function passChanged(
  exchange: Exchange,
  head: AnswerHead,
  { socket, first }: NonNullable<MachineAnswer["changed"]>,
  { idleMs, signal }: { readonly idleMs: number; readonly signal: AbortSignal },
  record: RequestRecord,
): Promise<void> {
  let client: Duplex;
  try {
    client = exchange.change(head);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  if (first.length > 0) socket.unshift(first);
  const passed: Passed = { sent: 0, received: 0 };
  await join(client, socket, { idleMs: Math.max(idleMs, CHANGED_IDLE_MS), signal, passed });
  record.bytesIn += passed.sent;
  record.bytesOut += passed.received;
}
