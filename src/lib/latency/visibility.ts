/** Whom a trace belongs to. */
export interface Owners {
  /** The organisation that the services' spans name; "*" for several, undefined for none. */
  readonly owner: string | undefined;
  /** The same for spans that clients sent. */
  readonly clientOwner: string | undefined;
}

/**
 * Whether a reader of `org` may see a trace. What clients say counts only where no service has
 * named an organisation, so that nobody can claim another's trace by adding a span to it.
 */
export function isVisible(trace: Owners, org: string): boolean {
  return (trace.owner ?? trace.clientOwner) === org;
}

/** Whether a reader of `org` may see a span of a visible trace: clients of others may have added some. */
export function isSpanVisible(clientOrg: string | undefined, org: string): boolean {
  return clientOrg === undefined || clientOrg === org;
}
