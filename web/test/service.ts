// A stand-in for the service behind real `fetch` calls, and the pages as a browser opens them.
import { type Code, type InspectedLink, takeToken } from '@readdress/client';
import { render } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { createElement } from 'react';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { App } from '../src/app';
import { startSession } from '../src/session';

export const TOKEN = 'eyJ0eXAi.eyJzdWIi.c2lnbmF0dXJl';
export const EXPIRES = '2026-11-23T23:47:00Z';

type Answer = () => Response | Promise<Response>;

export interface Call {
  path: string;
  body: unknown;
}

/** Starts it for the tests of one file. `calls` are those of the current test. */
export function standIn() {
  const calls: Call[] = [];
  const server = setupServer();
  server.events.on('request:start', async ({ request }) => {
    const body = request.method === 'POST' ? await request.clone().json() : undefined;
    calls.push({ path: new URL(request.url).pathname, body });
  });
  beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));
  afterEach(() => {
    server.resetHandlers();
    calls.length = 0;
  });
  afterAll(() => server.close());
  const answer = (path: string, response: Answer) => server.use(http.all(`*/v1/${path}`, response));
  return {
    answer,
    calls,
    /** What was sent to one operation. */
    sent: (path: string) => calls.filter((call) => call.path === `/v1/${path}`),
    /** What `inspect` says of every link. */
    link: (link: Partial<InspectedLink>) =>
      answer('email-change/inspect', () =>
        ok({ kind: 'confirm', state: 'usable', expires_at: EXPIRES, ...link }),
      ),
  };
}

export const ok = (body: object, status = 200) => HttpResponse.json(body as never, { status });

export const refuse = (code: Code, status: number, retryAfter?: number) =>
  HttpResponse.json(
    {
      type: `urn:readdress:problem:${code}`,
      title: code,
      status,
      detail: code,
      code,
      request_id: 'r-1',
    },
    {
      status,
      headers: {
        'Content-Type': 'application/problem+json',
        ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
      },
    },
  );

/** Opens an address as a new page of the tab, and gives the person's hands. */
export function open(address: string) {
  window.history.pushState(null, '', address);
  return reload();
}

/** What a browser does with the entry it is on. */
export function reload() {
  takeToken();
  render(createElement(App, { path: window.location.pathname }));
  return userEvent.setup();
}

export const signIn = () =>
  startSession({ access_token: 'access', token_type: 'Bearer', expires_in: 900 });

export function inDemo() {
  const marker = document.createElement('meta');
  marker.name = 'readdress-demo';
  marker.content = '/dev/mailbox';
  marker.dataset.email = 'demo@example.com';
  marker.dataset.password = 'correct horse';
  document.head.append(marker);
}
