// The access token of the demo sign-in.
//
// In `sessionStorage`, because a reload must keep the person signed in and memory does not outlive
// one; it goes with the tab, is in no other one, and no request carries it by itself as a cookie would.
// A script on this origin could read it, as it could read memory: what keeps such scripts out is the
// content security policy, and the token lives for minutes and changes nothing without the password.
import type { Session } from '@readdress/client';
import { useSyncExternalStore } from 'react';

const KEY = 'readdress_session';

interface Stored {
  access_token: string;
  /** Milliseconds since the epoch. */
  expires_at: number;
}

let current = read();
const watchers = new Set<() => void>();

function read(): Stored | undefined {
  try {
    const stored: unknown = JSON.parse(window.sessionStorage.getItem(KEY) ?? 'null');
    return isStored(stored) ? stored : undefined;
  } catch {
    return undefined;
  }
}

function isStored(value: unknown): value is Stored {
  const { access_token, expires_at } = (value ?? {}) as Partial<Stored>;
  return typeof access_token === 'string' && typeof expires_at === 'number';
}

function change(next: Stored | undefined) {
  current = next;
  try {
    if (next) {
      window.sessionStorage.setItem(KEY, JSON.stringify(next));
    } else {
      window.sessionStorage.removeItem(KEY);
    }
  } catch {
    // Storage is forbidden or full: the session lasts until the next reload.
  }
  for (const watcher of watchers) {
    watcher();
  }
}

/** Undefined when nobody is signed in, or no longer. */
export function accessToken(): string | undefined {
  return current && current.expires_at > Date.now() ? current.access_token : undefined;
}

export function startSession({ access_token, expires_in }: Session) {
  change({ access_token, expires_at: Date.now() + expires_in * 1000 });
}

export function endSession() {
  change(undefined);
}

/** The access token, and a new rendering when somebody signs in or out. */
export function useAccessToken(): string | undefined {
  return useSyncExternalStore(watch, accessToken);
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}
