/** What is needed to reach a host. */
export interface HostAddress {
  readonly number: number;
  readonly name: string;
  /** gRPC address of its hostd. */
  readonly address: string;
}

export interface HostDirectory {
  get(number: number): HostAddress | undefined;
  /** Looks a host up in the database. */
  find(number: number): Promise<HostAddress | undefined>;
}
