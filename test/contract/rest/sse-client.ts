/** A message of server-sent events. */
export interface SseEvent {
  readonly id: string;
  readonly event: string;
  /** Undefined: it has an id alone, which browsers keep for the next request. */
  readonly data: unknown;
}

/** Reads server-sent events from an answer, as browsers do; leaving the loop ends the request. */
export async function* readSse(response: Response): AsyncGenerator<SseEvent> {
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const blocks = (rest + Buffer.from(chunk).toString()).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line) ?? ["", "", ""]);
      const field = (name: string) => fields.find(([, each]) => each === name)?.[2] ?? "";
      const [id, data] = [field("id"), field("data")];
      if (id + data === "") continue;
      yield { id, event: field("event"), data: data === "" ? undefined : JSON.parse(data) };
    }
  }
}
