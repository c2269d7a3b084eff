import { readToken } from '@readdress/client';
import { expect, test, vi } from 'vitest';

test('the token has left the address bar before React is loaded', async () => {
  let seen: string | undefined;
  vi.doMock('react-dom/client', () => {
    seen = window.location.href;
    return { createRoot: () => ({ render: () => undefined }) };
  });
  document.body.innerHTML = '<div id="root"></div>';
  window.history.pushState(null, '', '/new-email?token=abc');
  await import('../src/main');
  expect(seen).toBe(`${window.location.origin}/new-email`);
  expect(readToken()).toBe('abc');
});
