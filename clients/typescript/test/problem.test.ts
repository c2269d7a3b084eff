import { HttpResponse } from 'msw';
import { describe, expect, test } from 'vitest';
import { activateEmailChange, Code, Problem, toProblem, unwrap } from '../src/index.js';
import { json, problem, standIn } from './service.js';

const service = standIn();
const ACTIVATE = '/v1/email-change/activate';
const activate = () => unwrap(activateEmailChange({ body: { token: 'a.b.c' } }));

const failure = async (operation: Promise<unknown>): Promise<Problem> => {
  const caught: unknown = await operation.then(
    () => expect.fail('it should have failed'),
    (error: unknown) => error,
  );
  expect(caught).toBeInstanceOf(Problem);
  return caught as Problem;
};

describe('what the service says', () => {
  test.each(Object.values(Code))('%s keeps its code', async (code) => {
    service.answer(ACTIVATE, () => problem(code, 418));
    expect(await failure(activate())).toMatchObject({
      code,
      status: 418,
      message: `Detail of ${code}.`,
      request_id: '019aa2b4-0000-7000-8000-00000000000f',
    });
  });

  test('Retry-After is kept in seconds', async () => {
    service.answer(ACTIVATE, () => problem('rate_limited', 429, { 'Retry-After': '37' }));
    expect((await failure(activate())).retry_after).toBe(37);
  });

  test('the refused fields are kept', () => {
    const errors = [{ pointer: '/token', message: 'missing' }];
    const document = { code: 'malformed_request', detail: 'Bad.', status: 400, errors };
    expect(toProblem(document).errors).toEqual(errors);
  });

  test('a code of a newer service is not passed off as a known one', () => {
    const document = { code: 'brand_new', detail: 'New.', status: 400 };
    expect(toProblem(document).code).toBe('unexpected_response');
  });
});

describe('what others say', () => {
  test('a lost connection is a network error, with its cause', async () => {
    service.answer(ACTIVATE, () => HttpResponse.error());
    const problem = await failure(activate());
    expect(problem).toMatchObject({ code: 'network_error', status: undefined });
    expect(problem.cause).toBeInstanceOf(TypeError);
  });

  test('a timeout is a network error', () => {
    expect(toProblem(new DOMException('', 'TimeoutError')).code).toBe('network_error');
  });

  test('HTML from a proxy is unexpected, and its Retry-After counts', async () => {
    service.answer(
      ACTIVATE,
      () =>
        new HttpResponse('<h1>Bad gateway</h1>', { status: 502, headers: { 'Retry-After': '5' } }),
    );
    expect(await failure(activate())).toMatchObject({
      code: 'unexpected_response',
      status: 502,
      retry_after: 5,
    });
  });

  test('a Retry-After that is a date becomes seconds, never negative', async () => {
    const inTenSeconds = new Date(Date.now() + 10_000).toUTCString();
    const response = (date: string) => new Response('', { headers: { 'Retry-After': date } });
    expect(toProblem('', response(inTenSeconds)).retry_after).toBeGreaterThan(7);
    expect(toProblem('', response(new Date(0).toUTCString())).retry_after).toBe(0);
    expect(toProblem('', response('soon')).retry_after).toBeUndefined();
  });

  test.each([
    [
      'HTML',
      () => new HttpResponse('<h1>Welcome</h1>', { headers: { 'Content-Type': 'text/html' } }),
    ],
    ['an empty body', () => new HttpResponse('')],
    [
      'an empty body said to be JSON',
      () => new HttpResponse('', { headers: { 'Content-Type': 'application/json' } }),
    ],
    [
      'broken JSON',
      () => new HttpResponse('{"status"', { headers: { 'Content-Type': 'application/json' } }),
    ],
  ])('a 200 with %s is not taken for success', async (_, response) => {
    service.answer(ACTIVATE, response);
    expect((await failure(activate())).code).toBe('unexpected_response');
  });

  test.each([undefined, null, '', 'oops', 0, {}, [], new Error('defect')])(
    '%o has a code, too',
    (value) => {
      expect(toProblem(value).code).toBe('unexpected_response');
    },
  );

  test('a problem stays the one it is', () => {
    const problem = new Problem('link_used', 'Used.');
    expect(toProblem(problem)).toBe(problem);
  });
});

test('success is the answer itself', async () => {
  service.answer(ACTIVATE, () => json({ status: 'activated', email: 'ann@new.example' }));
  expect(await activate()).toEqual({ status: 'activated', email: 'ann@new.example' });
});
