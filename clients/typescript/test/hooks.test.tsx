import { onlineManager, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, cleanup, configure, renderHook, waitFor } from '@testing-library/react';
import { type ReactNode, useEffect } from 'react';
import { afterEach, describe, expect, test } from 'vitest';
import { client, createClient, createConfig } from '../src/index.js';
import {
  useActivateEmailChange,
  useCancelEmailChange,
  useConfirmEmailChange,
  useLink,
  useLinkToken,
  useRequestEmailChange,
  useSignIn,
  useUndoEmailChange,
} from '../src/react/index.js';
import { json, ORIGIN, problem, standIn } from './service.js';

// Patient, for slow machines.
configure({ asyncUtilTimeout: 5_000 });

const service = standIn();
let queries: QueryClient;

const inApp = <T,>(hook: () => T) => {
  queries = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queries}>{children}</QueryClientProvider>
  );
  return renderHook(hook, { wrapper, reactStrictMode: true });
};

afterEach(() => {
  cleanup();
  onlineManager.setOnline(true);
});

const TOKEN = 'header.payload.a-signature-of-forty-three-characters-or-so';
const INSPECTED = { kind: 'confirm', state: 'usable', expires_at: '2026-11-23T23:47:00Z' };

describe('a step', () => {
  test.each([
    ['session', useSignIn, { email: 'ann@example.com', password: 'p' }],
    ['email-change/request', useRequestEmailChange, { password: 'p' }],
    [
      'email-change/confirm',
      useConfirmEmailChange,
      { token: TOKEN, password: 'p', new_email: 'b@c.de' },
    ],
    ['email-change/activate', useActivateEmailChange, { token: TOKEN }],
    ['email-change/cancel', useCancelEmailChange, { token: TOKEN }],
    ['email-change/undo', useUndoEmailChange, { token: TOKEN, password: 'p' }],
  ] as const)('%s sends its body once and has its answer', async (path, useStep, body) => {
    service.answer(`/v1/${path}`, () => json({ status: 'done' }));
    const { result } = inApp(() => useStep() as ReturnType<typeof useUndoEmailChange>);
    expect(service.calls).toEqual([]);
    act(() => result.current.mutate(body as { token: string; password: string }));
    await waitFor(() => expect(result.current.data).toEqual({ status: 'done' }));
    expect(service.calls).toEqual([{ path: `/v1/${path}`, body, authorization: null }]);
  });

  test('fails with a problem, and is not repeated', async () => {
    service.answer('/v1/email-change/undo', () =>
      problem('mail_unavailable', 503, { 'Retry-After': '2' }),
    );
    const { result } = inApp(() => useUndoEmailChange());
    act(() => result.current.mutate({ token: TOKEN, password: 'p' }));
    await waitFor(() => expect(result.current.error?.code).toBe('mail_unavailable'));
    expect(result.current.error?.retry_after).toBe(2);
    expect(service.calls).toHaveLength(1);
  });

  test('pressed by a StrictMode effect twice ends well', async () => {
    service.answer('/v1/email-change/activate', () =>
      json({ status: 'already_active', email: 'b@c.de' }),
    );
    const { result } = inApp(() => {
      const activate = useActivateEmailChange();
      const { mutate } = activate;
      useEffect(() => mutate({ token: TOKEN }), [mutate]);
      return activate;
    });
    await waitFor(() => expect(result.current.data?.email).toBe('b@c.de'));
    expect(result.current.error).toBeNull();
  });

  test('is tried while the browser believes to be offline, instead of waiting for ever', async () => {
    onlineManager.setOnline(false);
    service.answer('/v1/email-change/cancel', () => json({ status: 'cancelled' }));
    const { result } = inApp(() => useCancelEmailChange());
    act(() => result.current.mutate({ token: TOKEN }));
    await waitFor(() => expect(result.current.data?.status).toBe('cancelled'));
  });

  test('leaves no password in the cache once its page is gone', async () => {
    service.answer('/v1/email-change/request', () => problem('wrong_password', 403));
    const { result, unmount } = inApp(() => useRequestEmailChange());
    act(() => result.current.mutate({ password: 'secret' }));
    await waitFor(() => expect(result.current.isError).toBe(true));
    unmount();
    await waitFor(() => expect(queries.getMutationCache().getAll()).toEqual([]));
  });

  test('sends the access token only where the operation asks for one', async () => {
    client.setConfig({ auth: () => 'access' });
    service.answer('/v1/email-change/*', () => json({ status: 'done' }));
    const request = inApp(() => useRequestEmailChange());
    act(() => request.result.current.mutate({ password: 'p' }));
    await waitFor(() => expect(request.result.current.isSuccess).toBe(true));
    const cancel = inApp(() => useCancelEmailChange());
    act(() => cancel.result.current.mutate({ token: TOKEN }));
    await waitFor(() => expect(cancel.result.current.isSuccess).toBe(true));
    expect(service.calls.map((call) => call.authorization)).toEqual(['Bearer access', null]);
  });

  test('may use a client of its own', async () => {
    const own = createClient(createConfig({ baseUrl: `${ORIGIN}/behind` }));
    service.answer('/behind/v1/email-change/cancel', () => json({ status: 'cancelled' }));
    const { result } = inApp(() => useCancelEmailChange({ client: own }));
    act(() => result.current.mutate({ token: TOKEN }));
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
  });
});

describe('a link', () => {
  test('is inspected once, although StrictMode mounts twice', async () => {
    service.answer('/v1/email-change/inspect', () => json(INSPECTED));
    const { result } = inApp(() => useLink(TOKEN));
    await waitFor(() => expect(result.current.data).toEqual(INSPECTED));
    expect(service.calls).toHaveLength(1);
  });

  test('is inspected again when the page is shown again', async () => {
    service.answer('/v1/email-change/inspect', () => json(INSPECTED));
    const { result, unmount } = inApp(() => useLink(TOKEN));
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
    unmount();
    await waitFor(() => expect(queries.getQueryCache().getAll()).toEqual([]));
  });

  test('that is no link is a problem at once', async () => {
    service.answer('/v1/email-change/inspect', () => problem('invalid_link', 400));
    const { result } = inApp(() => useLink(TOKEN));
    await waitFor(() => expect(result.current.error?.code).toBe('invalid_link'));
    expect(service.calls).toHaveLength(1);
  });

  test('without a token asks nothing', () => {
    const { result } = inApp(() => useLink(undefined));
    expect(result.current.isPending).toBe(true);
    expect(service.calls).toEqual([]);
  });

  test('shows developer tools and persisters no token', async () => {
    service.answer('/v1/email-change/inspect', () => json(INSPECTED));
    const { result } = inApp(() => useLink(TOKEN));
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
    const seen = JSON.stringify(
      queries
        .getQueryCache()
        .getAll()
        .map((query) => [query.queryKey, query.state]),
    );
    expect(seen).not.toContain(TOKEN.slice(0, 20));
  });

  test('has the token of the entry that the person is on', async () => {
    window.history.replaceState({ readdress_token: 'first' }, '', '/new-email');
    const { result } = inApp(() => useLinkToken());
    expect(result.current).toBe('first');
    window.history.pushState({ readdress_token: 'second' }, '', '/new-email');
    act(() => window.history.back());
    await waitFor(() => expect(window.history.state).toEqual({ readdress_token: 'first' }));
    expect(result.current).toBe('first');
    act(() => window.history.forward());
    await waitFor(() => expect(result.current).toBe('second'));
  });
});
