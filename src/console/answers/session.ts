/**
 * Requests that are no queries:
 *
 * - `GET /api/export?format=otlp|json|speedscope|csv`: what the parameters select, as a download;
 *   `trace=<id>` takes one trace.
 * - `GET /api/live`: server-sent events, `operation` with a `Row` for each new one that matches,
 *   `mark` with a `Mark`.
 * - `POST /api/links` with a bearer token and perhaps `{"view": "/?since=1h"}`: `{url}`, a link that
 *   opens a session once, within a minute. `GET /login?code=...` takes it: a cookie, and a redirect to
 *   the view.
 * - `POST /api/logout` ends the session.
 */

/** `GET /api/session`: who is asking. */
export interface SessionInfo {
  readonly subject: string;
  readonly org: string;
  /** Whether operations of all organisations are shown. */
  readonly is_operator: boolean;
  readonly expires_ms: number;
}
