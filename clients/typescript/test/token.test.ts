import { beforeEach, expect, test } from 'vitest';
import { readToken, takeToken } from '../src/index.js';

const open = (path: string, state: unknown = null) => window.history.pushState(state, '', path);

beforeEach(() => open('/'));

test('the token moves from the address bar into the history entry', () => {
  open('/new-email?token=a.b-c_d.e');
  takeToken();
  expect(window.location.href).toBe(`${window.location.origin}/new-email`);
  expect(readToken()).toBe('a.b-c_d.e');
});

test('a reload finds it: taking again without one in the address bar keeps it', () => {
  open('/new-email?token=abc');
  takeToken();
  takeToken();
  expect(readToken()).toBe('abc');
});

test('a second link in the same tab brings its own token', () => {
  open('/new-email?token=first');
  takeToken();
  open('/new-email?token=second');
  takeToken();
  expect(readToken()).toBe('second');
});

test('other parameters, the fragment and what a router keeps stay', () => {
  open('/new-email?lang=de&token=abc#top', { idx: 3 });
  takeToken();
  expect(window.location.search + window.location.hash).toBe('?lang=de#top');
  expect(window.history.state).toMatchObject({ idx: 3 });
});

test('no history entry is added', () => {
  open('/new-email?token=abc');
  const before = window.history.length;
  takeToken();
  expect(window.history.length).toBe(before);
});

test('an empty token is none', () => {
  open('/new-email?token=', { idx: 1 });
  takeToken();
  expect(window.location.search).toBe('');
  expect(readToken()).toBeUndefined();
});

test('another parameter name may be configured', () => {
  open('/new-email?t=abc');
  takeToken('t');
  expect(readToken()).toBe('abc');
});

test.each([null, 'text', 7, ['x']])('a history state of %o has no token', (state) => {
  open('/', state);
  expect(readToken()).toBeUndefined();
});
