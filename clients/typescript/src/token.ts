// The token of a mailed link: out of the address bar, into the history entry.
//
// In the address bar it would be copied, synchronised, shown over a shoulder and sent in Referer
// headers. In `history.state` it belongs to this one entry of this one tab: reload and "back" find it.

const KEY = 'readdress_token';

/**
 * Moves the token from the query of the address bar into `history.state`.
 *
 * Call it before anything else runs on the page: routers, analytics, React. Without a token in the
 * address bar it does nothing.
 */
export function takeToken(parameter = 'token'): void {
  const url = new URL(window.location.href);
  const token = url.searchParams.get(parameter);
  if (token === null) {
    return;
  }
  url.searchParams.delete(parameter);
  const { [KEY]: _, ...state } = entry();
  window.history.replaceState(token === '' ? state : { ...state, [KEY]: token }, '', url);
}

/** The token of this history entry, if a link with one was opened here. */
export function readToken(): string | undefined {
  const token = entry()[KEY];
  return typeof token === 'string' ? token : undefined;
}

/** A router may keep values of its own here; they stay. */
function entry(): Record<string, unknown> {
  const state: unknown = window.history.state;
  return typeof state === 'object' && state !== null ? { ...state } : {};
}
