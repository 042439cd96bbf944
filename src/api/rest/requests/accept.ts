/** Whether a client asks for server-sent events, by its `Accept` header. */
export function acceptsSse(header: string | string[] | undefined): boolean {
  return typeof header === "string" && /(?:^|[,\s])text\/event-stream\b/i.test(header);
}
