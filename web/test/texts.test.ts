import { Code, Problem, type ProblemCode } from '@readdress/client';
import { expect, test } from 'vitest';
import { sentence } from '../src/sentence';
import { moment } from '../src/texts';
import { en } from '../src/texts/en';

const CODES: ProblemCode[] = [...Object.values(Code), 'network_error', 'unexpected_response'];

test('every code has a sentence of its own', () => {
  const sentences = CODES.map((code) => sentence(new Problem(code, '')));
  expect(new Set(sentences).size).toBe(CODES.length);
  for (const text of sentences) {
    expect(text).toMatch(/^[A-Z].*\.$/);
  }
});

test.each([
  [undefined, 'shortly'],
  [0, 'in 1 second'],
  [1, 'in 1 second'],
  [40, 'in 40 seconds'],
  [90, 'in 2 minutes'],
  [121, 'in 3 minutes'],
  [7200, 'in 2 hours'],
])('a wait of %s seconds is "%s"', (seconds, text) => {
  expect(en.problems.rateLimited(seconds)).toBe(`Too many tries. Try again ${text}.`);
});

test('an internal error names the request for the operators', () => {
  expect(en.problems.internal('r-1')).toContain('r-1');
  expect(en.problems.internal(undefined)).not.toContain('undefined');
});

test('a moment is written for people', () => {
  expect(moment('2026-11-23T23:47:00Z')).toMatch(/2026/);
});
