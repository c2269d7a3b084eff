// Waits until the page says what it should.
import assert from 'node:assert/strict';

/** The longest a page may take to say it, in milliseconds. */
const PATIENCE = 15_000;

export async function expectText(locator, expected) {
  const matches = (text) =>
    text !== null && (expected instanceof RegExp ? expected.test(text) : text.includes(expected));
  const until = Date.now() + PATIENCE;
  let text = null;
  do {
    text = await locator.textContent({ timeout: 1_000 }).catch(() => null);
    if (matches(text)) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  } while (Date.now() < until);
  assert.fail(`${locator} says “${text}”, not “${expected}”`);
}
