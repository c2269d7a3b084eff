import { cleanup, screen, waitFor } from '@testing-library/react';
import { HttpResponse } from 'msw';
import { describe, expect, test, vi } from 'vitest';
import { EXPIRES, inDemo, ok, open, refuse, reload, signIn, standIn } from './service';

const service = standIn();
const heading = (name: string | RegExp) => screen.findByRole('heading', { level: 1, name });
const password = () => screen.getByLabelText('Password');
const send = () => screen.getByRole('button', { name: 'Send link' });
const account = () => service.answer('me', () => ok({ id: '1', email: 'ann@example.com' }));

describe('signing in', () => {
  test('leads to the settings, and a reload stays there', async () => {
    service.answer('session', () =>
      ok({ access_token: 'a', token_type: 'Bearer', expires_in: 900 }),
    );
    account();
    const user = open('/');
    await user.type(screen.getByLabelText('E-mail address'), ' ann@example.com ');
    await user.type(password(), 'secret{Enter}');
    expect(await heading('Change your e-mail address')).toHaveFocus();
    expect(service.sent('session')[0]?.body).toEqual({
      email: 'ann@example.com',
      password: 'secret',
    });
    cleanup();
    reload();
    expect(await heading('Change your e-mail address')).toBeVisible();
  });

  test('says in one sentence that address or password is wrong', async () => {
    service.answer('session', () => refuse('unauthenticated', 401));
    const user = open('/');
    await user.type(screen.getByLabelText('E-mail address'), 'ann@example.com');
    await user.type(password(), 'wrong{Enter}');
    expect(await screen.findByText(/No account has this address and password/)).toBeVisible();
    expect(password()).toHaveValue('wrong');
  });

  test('sends nothing while something is missing, and goes to the first field', async () => {
    const user = open('/');
    await user.click(screen.getByRole('button', { name: 'Sign in' }));
    const email = screen.getByLabelText('E-mail address');
    expect(email).toHaveFocus();
    expect(email).toBeInvalid();
    expect(email).toHaveAccessibleDescription('Enter an e-mail address.');
    expect(password()).toHaveAccessibleDescription('Enter your password.');
    expect(service.calls).toEqual([]);
  });

  test('is said to be elsewhere where the service does not offer it', async () => {
    service.answer('session', () => refuse('not_found', 404));
    const user = open('/');
    await user.type(screen.getByLabelText('E-mail address'), 'ann@example.com');
    await user.type(password(), 'x{Enter}');
    expect(await screen.findByText(/cannot sign in on this page/)).toBeVisible();
  });

  test('in a demo takes one press to fill in', async () => {
    inDemo();
    service.answer('session', () => refuse('rate_limited', 429, 200));
    const user = open('/');
    await user.click(screen.getByRole('button', { name: 'Fill in the demo account' }));
    await user.keyboard('{Enter}');
    expect(await screen.findByText('Too many tries. Try again in 4 minutes.')).toBeVisible();
    expect(service.sent('session')[0]?.body).toEqual({
      email: 'demo@example.com',
      password: 'correct horse',
    });
  });

  test('outside a demo, nothing speaks of one', () => {
    open('/');
    expect(screen.queryByText(/demo/i)).toBeNull();
  });
});

describe('the settings', () => {
  test('say before sending that the mail goes to the current address', async () => {
    account();
    signIn();
    open('/');
    expect(await screen.findByText('ann@example.com')).toBeVisible();
    expect(screen.getByText(/send a link to your current address/)).toBeVisible();
    expect(screen.getByText('Step 1 of 3')).toBeVisible();
    expect(document.title).toBe('Change your e-mail address · readdress');
  });

  test('say where the link went and how long it holds', async () => {
    account();
    signIn();
    service.answer('email-change/request', () =>
      ok({ sent_to: 'a***@example.com', expires_at: EXPIRES }, 202),
    );
    const user = open('/');
    await heading('Change your e-mail address');
    await user.type(password(), 'secret');
    await user.dblClick(send());
    expect(await heading('Look into your current mailbox')).toHaveFocus();
    expect(screen.getByText(/a\*\*\*@example.com/)).toBeVisible();
    expect(screen.getByText(/until .*2026/)).toBeVisible();
    expect(service.sent('email-change/request')).toEqual([
      { path: '/v1/email-change/request', body: { password: 'secret' } },
    ]);
  });

  test('tie a wrong password to its field, keep it, and go there each time', async () => {
    account();
    signIn();
    service.answer('email-change/request', () => refuse('wrong_password', 403));
    const user = open('/');
    await heading('Change your e-mail address');
    for (const typed of ['wrong', 'wrongagain']) {
      await user.type(password(), typed === 'wrong' ? 'wrong' : 'again');
      await user.click(send());
      await waitFor(() => expect(password()).toHaveFocus());
      expect(password()).toHaveAccessibleDescription(/not the right password/);
      expect(password()).toHaveValue(typed);
    }
  });

  test('while a link is being sent, the button keeps the focus and does nothing', async () => {
    account();
    signIn();
    let finish: (response: Response) => void = () => undefined;
    service.answer('email-change/request', () => new Promise<Response>((done) => (finish = done)));
    const user = open('/');
    await heading('Change your e-mail address');
    await user.type(password(), 'secret');
    await user.tab();
    await user.tab();
    await user.keyboard('{Enter}');
    await waitFor(() => expect(send()).toHaveAttribute('aria-disabled', 'true'));
    expect(screen.getByText('One moment …')).toBeInTheDocument();
    await user.keyboard('{Enter}');
    await user.click(send());
    expect(send()).toHaveFocus();
    finish(ok({ sent_to: 'a***@example.com', expires_at: EXPIRES }, 202));
    await heading('Look into your current mailbox');
    expect(service.sent('email-change/request')).toHaveLength(1);
  });

  test.each([
    ['when they open', () => service.answer('me', () => refuse('unauthenticated', 401))],
    [
      'when the link is asked for',
      () => {
        account();
        service.answer('email-change/request', () => refuse('unauthenticated', 401));
      },
    ],
  ])('ask to sign in again when the session is over: %s', async (when, prepare) => {
    prepare();
    signIn();
    const user = open('/');
    if (when !== 'when they open') {
      await heading('Change your e-mail address');
      await user.type(password(), 'secret{Enter}');
    }
    expect(await heading('Sign in')).toHaveFocus();
    expect(screen.getByText(/You have been signed out/)).toBeVisible();
  });

  test('ask to sign in again when the life of the token is over', async () => {
    signIn();
    vi.setSystemTime(Date.now() + 901_000);
    open('/');
    expect(await heading('Sign in')).toBeVisible();
    vi.useRealTimers();
  });

  test('can be left', async () => {
    account();
    signIn();
    const user = open('/');
    await user.click(await screen.findByRole('button', { name: 'Sign out' }));
    expect(await heading('Sign in')).toHaveFocus();
    expect(window.sessionStorage).toHaveLength(0);
  });

  test('can be tried again when the account cannot be loaded', async () => {
    service.answer('me', () => HttpResponse.error());
    signIn();
    const user = open('/');
    expect(await screen.findByText(/No answer came/)).toBeVisible();
    account();
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('ann@example.com')).toBeVisible();
  });
});

test('a password can be looked at', async () => {
  const user = open('/');
  await user.type(password(), 'secret');
  const show = screen.getByRole('button', { name: 'Show password' });
  await user.click(show);
  expect(password()).toHaveAttribute('type', 'text');
  expect(show).toHaveAttribute('aria-pressed', 'true');
});

test('the second press of a double click does nothing to what came under the pointer', async () => {
  const user = open('/');
  await user.type(password(), 'secret');
  await user.dblClick(screen.getByRole('button', { name: 'Show password' }));
  expect(password()).toHaveAttribute('type', 'text');
});
