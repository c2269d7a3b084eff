// What the browser is told and what it tells: policies, traces of a token, speed; and the mailbox.
import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import { NARROW, startChromium, visit } from '../support/browser.js';
import { look, WCAG } from '../support/look.js';
import * as person from '../support/person.js';
import { startService, token } from '../support/service.js';

let browser;
let service;
before(async () => {
  browser = await startChromium();
  service = await startService();
});
after(async () => {
  await browser.close();
  await service.stop();
});

/** From the first byte asked for to a page that can be used, in milliseconds; on two cores. */
const BUDGET = 1_000;

test('the first page can be used within a second', async (t) => {
  const times = [];
  // Whatever else this machine does is not the pages' fault: the best of five, and where more wants to
  // run than there are cores, so much more time.
  const budget = BUDGET * Math.max(1, loadavg()[0] / availableParallelism());
  while (times.length < 5 && !times.some((time) => time < budget)) {
    const { context, page, watch } = await visit(browser, service);
    const start = performance.now();
    await page.goto(service.url, { waitUntil: 'commit' });
    await person.field(page, 'E-mail address').fill('a');
    times.push(Math.round(performance.now() - start));
    await watch.held();
    await context.close();
  }
  t.diagnostic(`${times} ms, of ${Math.round(budget)}`);
  assert.ok(Math.min(...times) < budget, `${times} ms, of ${Math.round(budget)}`);
});

test('the policy of the pages holds against what it forbids', async () => {
  const { page } = await visit(browser, service);
  await page.goto(service.url);
  await person.arriveAt(page, 'Sign in');
  const blocked = await page.evaluate(async () => {
    const violations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
      violations.push(event.effectiveDirective),
    );
    const add = (name, attributes, text = '') => {
      const element = Object.assign(document.createElement(name), attributes);
      element.textContent = text;
      document.body.append(element);
    };
    add('script', {}, 'globalThis.inline = true');
    add('script', { src: 'https://elsewhere.example/x.js' });
    add('style', {}, 'body { color: red }');
    add('img', { src: 'https://elsewhere.example/x.png' });
    add('iframe', { src: '/' });
    add('base', { href: 'https://elsewhere.example/' });
    await fetch('https://elsewhere.example/').catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { violations: [...new Set(violations)].sort(), inline: 'inline' in globalThis };
  });
  assert.equal(blocked.inline, false);
  assert.deepEqual(blocked.violations, [
    'base-uri',
    'connect-src',
    'frame-src',
    'img-src',
    'script-src-elem',
    'style-src-elem',
  ]);
});

test('the token leaves the address bar before the page shows anything, and no storage keeps it', async () => {
  const { confirm } = await service.requested();
  const secret = token(confirm);
  const { context, page, watch } = await visit(browser, service);
  await page.goto(confirm);
  await person.arriveAt(page, 'Enter your new address');
  const traces = await page.evaluate(() => ({
    bar: location.href,
    title: document.title,
    html: document.documentElement.outerHTML,
    referrer: document.referrer,
    cookies: document.cookie,
    local: JSON.stringify(localStorage),
    session: JSON.stringify(sessionStorage),
    history: history.length,
    state: JSON.stringify(history.state),
  }));
  const { state, ...others } = traces;
  assert.ok(state.includes(secret), 'the entry of the history keeps it');
  for (const [where, text] of Object.entries(others)) {
    assert.ok(!String(text).includes(secret), `the token is in ${where}`);
  }
  assert.equal(others.bar, `${service.url}/new-email`);
  assert.deepEqual(await context.cookies(), []);
  await watch.held();
});

test('a page needs nothing but its own files', async () => {
  const { page, watch } = await visit(browser, service);
  const answers = [];
  page.on('response', (response) => answers.push(response));
  await page.goto(service.url, { waitUntil: 'networkidle' });
  const kinds = [];
  for (const response of answers) {
    const { pathname } = new URL(response.url());
    assert.equal(response.status(), 200, pathname);
    const [cache, type] = ['cache-control', 'content-type'].map((name) => response.headers()[name]);
    kinds.push(type);
    const expected = pathname === '/' ? 'no-store' : 'public, max-age=31536000, immutable';
    assert.equal(cache, expected, pathname);
  }
  for (const type of ['text/html', 'text/javascript', 'text/css']) {
    assert.ok(kinds.some((kind) => kind.startsWith(type)), `${type}: ${kinds}`);
  }
  await watch.held();
});

test('every page says its language, its title and its width', async () => {
  const { page, watch } = await visit(browser, service);
  const links = await service.confirmed('basics@example.org');
  for (const [link, title] of [
    [service.url, 'Sign in'],
    [links.activate, 'Use this address?'],
    [links.cancel, 'Stop this change?'],
    [`${service.url}/dev/mailbox`, 'Mailbox'],
  ]) {
    await page.goto(link);
    await person.arriveAt(page, title);
    const said = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title,
      viewport: document.querySelector('meta[name=viewport]').content,
    }));
    assert.equal(said.lang, 'en');
    assert.ok(said.title.includes(title), said.title);
    assert.equal(said.viewport, 'width=device-width, initial-scale=1');
  }
  await watch.held();
});

test('the mailbox is the same at 320 pixels, and its text version has the same links', async () => {
  const { page, watch } = await visit(browser, service, { viewport: NARROW });
  await page.goto(`${service.url}/dev/mailbox`);
  await look(page, '80-mailbox');
  await page.getByRole('link', { name: 'Confirm this e-mail address' }).first().click();
  await person.arriveAt(page, 'Confirm this e-mail address');
  await page.getByText('As text').click();
  await look(page, '81-mail');
  const opened = page.context().waitForEvent('page');
  await page.getByRole('link', { name: /email-activation/ }).click();
  await person.arriveAt(await opened, 'Use this address?');
  await watch.held();
});

test('every mail is as good to read as the pages', async () => {
  await service.changed('mails@example.org');
  const { page } = await visit(browser, service, { viewport: NARROW });
  const seen = new Set();
  for (const { path, subject } of await service.mails()) {
    const kind = subject.replace(/ (at|for) [\d.]+/, '');
    if (seen.has(kind)) {
      continue;
    }
    seen.add(kind);
    // By itself, as axe cannot run in the sandbox of the mailbox, and on the background that the
    // mailbox gives it, which axe would take for white.
    await page.setContent(await (await fetch(`${service.url}${path}/html`)).text());
    await page.addStyleTag({ content: ':root { background: Canvas }' });
    await look(page, `90-mail-${kind.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`, WCAG);
  }
  assert.ok(seen.size >= 4, [...seen].join());
});
