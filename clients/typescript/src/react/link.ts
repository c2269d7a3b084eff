// What a page that a mailed link leads to needs on load: the token, and what it is worth.
import { skipToken, type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { type InspectedLink, inspectLink } from '../generated/index.js';
import type { Problem } from '../problem.js';
import { readToken } from '../token.js';
import { unwrap } from '../unwrap.js';
import { callOptions, type HookOptions } from './operation.js';

/** The token that `takeToken` moved into this history entry; undefined where there is none. */
export function useLinkToken(): string | undefined {
  return useSyncExternalStore(onNavigation, readToken, () => undefined);
}

function onNavigation(changed: () => void): () => void {
  window.addEventListener('popstate', changed);
  return () => window.removeEventListener('popstate', changed);
}

/**
 * Says what a link is for, whether it still holds and until when, with one request that changes
 * nothing. Without a token it asks nothing and stays pending.
 */
export function useLink(
  token: string | undefined,
  options: HookOptions = {},
): UseQueryResult<InspectedLink, Problem> {
  return useQuery({
    queryKey: ['readdress', 'link', token === undefined ? '' : fingerprint(token)],
    queryFn:
      token === undefined
        ? skipToken
        : () => unwrap(inspectLink({ body: { token }, ...callOptions(options) })),
    // A form must not vanish under somebody who types: asked once for each time the page is shown.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    gcTime: 0,
    retry: false,
    networkMode: 'always',
  });
}

/**
 * Tells tokens apart by their signature's end, 96 bits of it: query keys are shown in developer tools
 * and written to storage by persisters, and this is no use to whoever reads them there.
 */
function fingerprint(token: string): string {
  return `${token.length}-${token.slice(-16)}`;
}
