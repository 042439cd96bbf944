/** How the proxy treats requests of all apps. */
export interface ProxySettings {
  /** Region of the proxy, for `fly-region`. */
  readonly region: string;
  /** Port that redirects to https name. 443: none is named. */
  readonly httpsPort: number;
  /** Whether each request gets a line in the log. */
  readonly accessLog: boolean;
  /** Largest body of a request, in bytes. */
  readonly maxBodyBytes: number;
  /** Memory that bodies of all requests are kept in for another attempt, in bytes. */
  readonly keepBytes: number;
}
