const SSE = /(?:^|[,\s])text\/event-stream\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;
const JSON_TYPE = /(?:^|[,\s])application\/json\b/i;

/**
 * Whether a client asks for server-sent events, by its `Accept` header. One that names JSON before them
 * takes both, and gets what the route answers others.
 */
export function acceptsSse(header: string | string[] | undefined): boolean {
  if (typeof header !== "string") return false;
  const [sse, json] = [header.search(SSE), header.search(JSON_TYPE)];
  return sse >= 0 && (json < 0 || sse < json);
}
