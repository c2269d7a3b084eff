import type { InspectedKind, InspectedState } from '@readdress/client';
import { cleanup, screen, waitFor } from '@testing-library/react';
import { HttpResponse } from 'msw';
import { describe, expect, test } from 'vitest';
import { en } from '../src/texts/en';
import { ok, open, refuse, reload, standIn, TOKEN } from './service';

const service = standIn();
const heading = (name: string | RegExp) => screen.findByRole('heading', { level: 1, name });
const PATHS: Record<InspectedKind, string> = {
  confirm: '/new-email',
  activate: '/email-activation',
  cancel: '/cancel-email-change',
  undo: '/undo-email-change',
};
const TITLES: Record<InspectedKind, string> = {
  confirm: en.newEmail.title,
  activate: en.activation.title,
  cancel: en.cancel.title,
  undo: en.undo.title,
};
const KINDS = Object.keys(PATHS) as InspectedKind[];

describe.each(KINDS)('a %s link', (kind) => {
  const link = `${PATHS[kind]}?token=${TOKEN}`;

  test('is out of the address bar, inspected once, and shown', async () => {
    service.link({ kind, new_email: 'new@example.org' });
    open(link);
    expect(screen.getByRole('heading', { name: en.link.checking })).toBeVisible();
    expect(await heading(TITLES[kind])).toHaveFocus();
    expect(window.location.href).not.toContain('token');
    expect(service.calls).toEqual([{ path: '/v1/email-change/inspect', body: { token: TOKEN } }]);
  });

  test('is found again by a reload', async () => {
    service.link({ kind });
    open(link);
    await heading(TITLES[kind]);
    cleanup();
    reload();
    await heading(TITLES[kind]);
    expect(service.sent('email-change/inspect')).toHaveLength(2);
  });

  test.each(Object.entries(en.ended[kind]).filter(([state]) => state !== 'email_taken'))(
    'that is %s says so, and what to do next',
    async (state, { title, text }) => {
      service.link({ kind, state: state as InspectedState, new_email: 'new@example.org' });
      open(link);
      expect(await heading(title)).toHaveFocus();
      expect(screen.getByText(text)).toBeVisible();
      expect(screen.queryByRole('form')).toBeNull();
      expect(screen.getByRole('link', { name: /settings/ })).toHaveAttribute('href', '/');
    },
  );

  test('of another kind is not shown here', async () => {
    service.link({ kind: kind === 'undo' ? 'confirm' : 'undo' });
    open(link);
    expect(await heading(en.link.invalidTitle)).toBeVisible();
  });

  test('that is none of the service is not complete', async () => {
    service.answer('email-change/inspect', () => refuse('invalid_link', 400));
    open(link);
    expect(await heading(en.link.invalidTitle)).toBeVisible();
  });

  test('without a token is not complete, and nothing is asked', async () => {
    open(PATHS[kind]);
    expect(await heading(en.link.invalidTitle)).toBeVisible();
    expect(service.calls).toEqual([]);
  });

  test('that cannot be checked can be tried again', async () => {
    service.answer('email-change/inspect', () => HttpResponse.error());
    const user = open(link);
    expect(await heading(en.link.failedTitle)).toHaveFocus();
    service.link({ kind });
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await heading(TITLES[kind])).toHaveFocus();
  });
});

test('the second of two links in one tab is the one that is used', async () => {
  service.link({ kind: 'confirm' });
  open('/new-email?token=first');
  await heading(en.newEmail.title);
  cleanup();
  open('/new-email?token=second');
  await heading(en.newEmail.title);
  expect(service.calls.map((call) => call.body)).toEqual([{ token: 'first' }, { token: 'second' }]);
});

test('"back" to the first of two links finds its token', async () => {
  service.link({ kind: 'confirm' });
  open('/new-email?token=first');
  await heading(en.newEmail.title);
  cleanup();
  open('/new-email?token=second');
  await heading(en.newEmail.title);
  window.history.back();
  await waitFor(() => expect(service.calls.at(-1)?.body).toEqual({ token: 'first' }));
});

test('an unknown path says so', async () => {
  open('/nowhere');
  expect(await heading(en.notFound.title)).toBeVisible();
});

describe('a new address', () => {
  const CONFIRM = 'email-change/confirm';
  const fill = async (
    user: ReturnType<typeof open>,
    email: string,
    repeat: string,
    password: string,
  ) => {
    await heading(en.newEmail.title);
    for (const [label, value] of [
      [en.newEmail.email, email],
      [en.newEmail.repeat, repeat],
      [en.newEmail.password, password],
    ] as const) {
      const field = screen.getByLabelText(label);
      await user.clear(field);
      if (value) {
        await user.type(field, value);
      }
    }
    await user.click(screen.getByRole('button', { name: en.newEmail.submit }));
  };
  const page = () => {
    service.link({ kind: 'confirm' });
    return open(`/new-email?token=${TOKEN}`);
  };

  test('that differs from its repetition is not sent', async () => {
    const user = page();
    await fill(user, 'new@example.org', 'now@example.org', 'secret');
    const repeat = screen.getByLabelText(en.newEmail.repeat);
    expect(repeat).toHaveFocus();
    expect(repeat).toHaveAccessibleDescription(en.newEmail.differs);
    expect(service.sent(CONFIRM)).toEqual([]);
  });

  test('or a password that is missing is asked for', async () => {
    const user = page();
    await fill(user, '', '', '');
    expect(screen.getByLabelText(en.newEmail.email)).toHaveFocus();
    expect(screen.getByLabelText('Password')).toHaveAccessibleDescription(/Enter your password/);
    expect(service.sent(CONFIRM)).toEqual([]);
  });

  test('that is the same but for case and blanks is sent, and the page says where the mail went', async () => {
    const user = page();
    service.answer(CONFIRM, () =>
      ok({ sent_to: 'new@example.org', expires_at: '2026-11-24T23:47:00Z' }, 202),
    );
    await fill(user, 'New@example.org', ' new@Example.org', 'secret');
    expect(await heading(en.newEmail.sentTitle)).toHaveFocus();
    expect(screen.getByText(/sent a link to new@example.org/)).toBeVisible();
    expect(service.sent(CONFIRM)[0]?.body).toEqual({
      token: TOKEN,
      password: 'secret',
      new_email: 'New@example.org',
    });
  });

  test('may be mailed again, and a refusal leaves the page as it is', async () => {
    const user = page();
    service.answer(CONFIRM, () =>
      ok({ sent_to: 'new@example.org', expires_at: '2026-11-24T23:47:00Z' }, 202),
    );
    await fill(user, 'new@example.org', 'new@example.org', 'secret');
    await heading(en.newEmail.sentTitle);
    await user.click(screen.getByRole('button', { name: en.newEmail.again }));
    expect(await screen.findByText(en.newEmail.sentAgain)).toBeVisible();
    const [first, second] = service.sent(CONFIRM);
    expect(second).toEqual(first);
    service.answer(CONFIRM, () => refuse('rate_limited', 429, 30));
    await user.click(screen.getByRole('button', { name: en.newEmail.again }));
    expect(await screen.findByText('Too many tries. Try again in 30 seconds.')).toBeVisible();
    expect(await heading(en.newEmail.sentTitle)).toBeVisible();
  });

  test.each([
    ['wrong_password', 403, 'Password', en.problems.wrongPassword],
    ['invalid_email', 422, en.newEmail.email, en.problems.invalidEmail],
    ['same_email', 422, en.newEmail.email, en.problems.sameEmail],
    ['undeliverable', 422, en.newEmail.email, en.problems.undeliverable],
  ] as const)(
    '%s is said at its field, and what was typed stays',
    async (code, status, label, text) => {
      const user = page();
      service.answer(CONFIRM, () => refuse(code, status));
      await fill(user, 'new@example.org', 'new@example.org', 'secret');
      await waitFor(() => expect(screen.getByLabelText(label)).toHaveFocus());
      expect(screen.getByLabelText(label)).toHaveAccessibleDescription(new RegExp(text));
      expect(screen.getByLabelText(en.newEmail.email)).toHaveValue('new@example.org');
    },
  );

  test.each([
    ['link_used', 410, en.ended.confirm.used.title],
    ['link_expired', 410, en.ended.confirm.expired.title],
    ['invalid_link', 400, en.link.invalidTitle],
  ] as const)('on a link that died meanwhile (%s) ends the page', async (code, status, title) => {
    const user = page();
    service.answer(CONFIRM, () => refuse(code, status));
    await fill(user, 'new@example.org', 'new@example.org', 'secret');
    expect(await heading(title)).toHaveFocus();
  });

  test.each([
    ['mail_unavailable', /mail could not be sent/],
    ['database_unavailable', /cannot reach your account/],
    ['overloaded', /Many people/],
  ] as const)('meets %s with a sentence, and goes through the next time', async (code, text) => {
    const user = page();
    service.answer(CONFIRM, () => refuse(code, 503, 2));
    await fill(user, 'new@example.org', 'new@example.org', 'secret');
    expect(await screen.findByText(text)).toBeVisible();
    service.answer(CONFIRM, () =>
      ok({ sent_to: 'new@example.org', expires_at: '2026-11-24T23:47:00Z' }, 202),
    );
    await user.click(screen.getByRole('button', { name: en.newEmail.submit }));
    expect(await heading(en.newEmail.sentTitle)).toBeVisible();
  });
});

describe('the activation', () => {
  const page = async () => {
    service.link({ kind: 'activate', new_email: 'new@example.org' });
    const user = open(`/email-activation?token=${TOKEN}`);
    await heading(en.activation.title);
    expect(screen.getByText('new@example.org')).toBeVisible();
    expect(service.sent('email-change/activate')).toEqual([]);
    return user;
  };
  const press = (user: ReturnType<typeof open>) =>
    user.dblClick(screen.getByRole('button', { name: en.activation.submit }));

  test.each(['activated', 'already_active'])('ends well: %s', async (status) => {
    const user = await page();
    service.answer('email-change/activate', () => ok({ status, email: 'new@example.org' }));
    await press(user);
    expect(await heading(en.activation.doneTitle)).toHaveFocus();
    expect(screen.getByText('new@example.org')).toBeVisible();
    expect(service.sent('email-change/activate')).toEqual([
      { path: '/v1/email-change/activate', body: { token: TOKEN } },
    ]);
  });

  test('says that another account was faster', async () => {
    const user = await page();
    service.answer('email-change/activate', () => refuse('email_taken', 409));
    await press(user);
    expect(await heading(en.ended.activate.email_taken.title)).toHaveFocus();
  });
});

test('a change is stopped by one press, and the page says what to do next', async () => {
  service.link({ kind: 'cancel' });
  service.answer('email-change/cancel', () => ok({ status: 'cancelled' }));
  const user = open(`/cancel-email-change?token=${TOKEN}`);
  await heading(en.cancel.title);
  expect(service.sent('email-change/cancel')).toEqual([]);
  await user.click(screen.getByRole('button', { name: en.cancel.submit }));
  expect(await heading(en.cancel.doneTitle)).toHaveFocus();
  expect(screen.getByText(/change your password now/)).toBeVisible();
});

describe('an undo', () => {
  const page = async () => {
    service.link({ kind: 'undo' });
    const user = open(`/undo-email-change?token=${TOKEN}`);
    await heading(en.undo.title);
    expect(screen.getByLabelText('Password')).toHaveAccessibleDescription(/before the change/);
    return user;
  };

  test.each(['undone', 'already_undone'])(
    '%s: the page says to reset the password',
    async (status) => {
      const user = await page();
      service.answer('email-change/undo', () => ok({ status, email: 'ann@example.com' }));
      await user.type(screen.getByLabelText('Password'), 'as it was{Enter}');
      expect(await heading(en.undo.doneTitle)).toHaveFocus();
      expect(screen.getByText('ann@example.com')).toBeVisible();
      expect(screen.getByText(/Reset your password/)).toBeVisible();
      expect(service.sent('email-change/undo')[0]?.body).toEqual({
        token: TOKEN,
        password: 'as it was',
      });
    },
  );

  test('with a wrong password keeps its hint beside the error', async () => {
    const user = await page();
    service.answer('email-change/undo', () => refuse('wrong_password', 403));
    await user.type(screen.getByLabelText('Password'), 'x{Enter}');
    await waitFor(() => expect(screen.getByLabelText('Password')).toBeInvalid());
    expect(screen.getByLabelText('Password')).toHaveAccessibleDescription(
      /before the change.*not the right password/,
    );
  });

  test('is not possible when another account has the address', async () => {
    const user = await page();
    service.answer('email-change/undo', () => refuse('email_taken', 409));
    await user.type(screen.getByLabelText('Password'), 'x{Enter}');
    expect(await heading(en.ended.undo.email_taken.title)).toHaveFocus();
  });
});
