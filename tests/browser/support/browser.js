// Chromium, and what holds in every test that uses it: nothing is asked of another origin, no request
// has a Referer, no link's token is in an address bar or in the console, and the console says nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

export const WIDE = { width: 1000, height: 800 };
export const NARROW = { width: 320, height: 640 };

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function executable() {
  const find = 'command -v "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome | head -n 1';
  return execFileSync('sh', ['-c', find], { encoding: 'utf8' }).trim();
}

export function startChromium() {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}

/** A visitor: a browser context of their own, watched from its first request on. */
export async function visit(browser, service, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, locale: 'en-GB', ...options });
  context.setDefaultTimeout(15_000);
  const watch = new Watch(service.url);
  context.on('request', (request) => watch.request(request));
  context.on('page', (page) => watch.page(page));
  return { context, watch, page: await context.newPage() };
}

/** What Chromium itself writes into the console for an answer that is no success. */
const REFUSAL = /^Failed to load resource: the server responded with a status of (\d+)/;

/** Its advice for a password without an address beside it: an undo link does not tell whose it is. */
const ADVICE = '[DOM] Password forms should have (optionally hidden) username fields';

class Watch {
  #origin;
  #wrong = [];
  #pending = [];
  #refusals = [];
  /** Method and path of every request to the API. */
  calls = [];

  constructor(origin) {
    this.#origin = origin;
  }

  request(request) {
    const url = new URL(request.url());
    if (url.protocol === 'data:') {
      return;
    }
    if (url.origin !== this.#origin) {
      this.#wrong.push(`a request to ${url.origin}`);
    }
    if (url.searchParams.has('token') && !request.isNavigationRequest()) {
      this.#wrong.push(`a token in the address of a request for ${url.pathname}`);
    }
    if (url.pathname.startsWith('/v1/')) {
      this.calls.push(`${request.method()} ${url.pathname}`);
    }
    const headers = request.allHeaders().then(
      ({ referer }) => referer && this.#wrong.push(`Referer ${referer} with ${url.pathname}`),
      // The page went away before its request was sent.
      () => undefined,
    );
    this.#pending.push(headers);
  }

  page(page) {
    page.on('console', (message) => {
      const refusal = REFUSAL.exec(message.text());
      const where = message.location().url;
      if (refusal && new URL(where).pathname.startsWith('/v1/') && !where.includes('token=')) {
        this.#refusals.push(Number(refusal[1]));
      } else if (!message.text().startsWith(ADVICE) || !where.endsWith('/undo-email-change')) {
        this.#wrong.push(`in the console: ${message.text()} (${where})`);
      }
    });
    page.on('pageerror', (error) => this.#wrong.push(`an error of the page: ${error.message}`));
    page.on('load', () => {
      if (page.url().includes('token=')) {
        this.#wrong.push(`a token in the address bar: ${page.url()}`);
      }
    });
  }

  /** How often the API was called so. */
  count(call) {
    return this.calls.filter((other) => other === call).length;
  }

  /** Everything above held; and these are the refusals that were met, in this order. */
  async held(...refusals) {
    await Promise.all(this.#pending);
    assert.deepEqual(this.#wrong, []);
    assert.deepEqual(this.#refusals, refusals, 'statuses of refusals');
  }
}
