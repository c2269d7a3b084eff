// What hands do to pages: press twice, reload, go back and forward.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startChromium, visit } from '../support/browser.js';
import { expectText } from '../support/expect.js';
import * as person from '../support/person.js';
import { PASSWORD, startService } from '../support/service.js';

let browser;
let service;
let email;
before(async () => {
  browser = await startChromium();
  service = await startService();
});
after(async () => {
  await browser.close();
  await service.stop();
});

let people = 0;
beforeEach(() => {
  people += 1;
  email = `person-${people}@example.com`;
  service.addUser(email);
});

/** Faster than any page can react to the first. */
const pressTwice = (page, name) => page.getByRole('button', { name, exact: true }).dblclick();

test('every button pressed twice ends well and asks once', async () => {
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, email);
  await person.arriveAt(page, 'Change your e-mail address');
  await person.field(page, 'Password').fill(PASSWORD);
  await pressTwice(page, 'Send link');
  await person.arriveAt(page, 'Look into your current mailbox');

  await page.goto(await service.link('new-email'));
  await person.field(page, 'New e-mail address').fill('twice@example.org');
  await person.field(page, 'Repeat the new address').fill('twice@example.org');
  await person.field(page, 'Password').fill(PASSWORD);
  await pressTwice(page, 'Send link to the new address');
  await person.arriveAt(page, 'Look into your new mailbox');

  const cancel = await service.link('cancel-email-change');
  await page.goto(await service.link('email-activation'));
  await pressTwice(page, 'Use this address');
  await person.arriveAt(page, 'Your address is changed');

  await page.goto(await service.link('undo-email-change'));
  await person.field(page, 'Password').fill(PASSWORD);
  await pressTwice(page, 'Restore my old address');
  await person.arriveAt(page, 'Your old address is back');

  await page.goto(cancel);
  await pressTwice(page, 'Stop the change');
  await person.arriveAt(page, 'The change is stopped');
  for (const step of ['request', 'confirm', 'activate', 'undo', 'cancel']) {
    assert.equal(watch.count(`POST /v1/email-change/${step}`), 1, step);
  }
  await watch.held();
});

test('two tabs that press the same button both end well', async () => {
  const { activate } = await service.confirmed('tabs@example.org', email);
  const { context, watch } = await visit(browser, service);
  const tabs = [await context.newPage(), await context.newPage()];
  for (const tab of tabs) {
    await tab.goto(activate);
    await person.arriveAt(tab, 'Use this address?');
  }
  await Promise.all(tabs.map((tab) => person.press(tab, 'Use this address')));
  for (const tab of tabs) {
    await person.arriveAt(tab, 'Your address is changed');
  }
  await watch.held();
});

test('the link to the new address is sent again where it is asked for, once a press', async () => {
  const { confirm } = await service.requested(email);
  const { page, watch } = await visit(browser, service);
  await page.goto(confirm);
  await person.enterNewAddress(page, 'again@example.org');
  await person.arriveAt(page, 'Look into your new mailbox');
  await pressTwice(page, 'Send it again');
  await expectText(page.getByRole('main'), 'We sent it again.');
  const mails = (await service.mails()).filter(({ to }) => to === 'again@example.org');
  assert.equal(mails.length, 2);
  await watch.held();
});

test('a reload at every step finds the page and its link again', async () => {
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, email);
  await person.arriveAt(page, 'Change your e-mail address');
  await page.reload();
  await expectText(page.getByRole('main'), email);
  await person.askForLink(page);
  await person.arriveAt(page, 'Look into your current mailbox');
  await page.reload();
  await person.arriveAt(page, 'Change your e-mail address');

  const cancel = await service.link('cancel-email-change');
  await page.goto(await service.link('new-email'));
  await person.arriveAt(page, 'Enter your new address');
  await page.reload();
  await page.reload();
  await person.enterNewAddress(page, 'reload@example.org');
  await person.arriveAt(page, 'Look into your new mailbox');
  await page.reload();
  await person.arriveAt(page, 'This link was already used');

  await page.goto(cancel);
  await person.arriveAt(page, 'Stop this change?');
  await page.reload();
  await person.arriveAt(page, 'Stop this change?');

  await page.goto(await service.link('email-activation'));
  await person.arriveAt(page, 'Use this address?');
  await page.reload();
  await person.press(page, 'Use this address');
  await person.arriveAt(page, 'Your address is changed');
  await page.reload();
  await person.arriveAt(page, 'This address is already yours');

  await page.goto(await service.link('undo-email-change'));
  await person.arriveAt(page, 'Get your old address back');
  await page.reload();
  await person.field(page, 'Password').fill(PASSWORD);
  await person.press(page, 'Restore my old address');
  await person.arriveAt(page, 'Your old address is back');
  await page.reload();
  await expectText(person.heading(page), /no longer works|already back/);
  await watch.held();
});

test('going back and forward finds each page with its own link', async () => {
  const links = await service.confirmed('back@example.org', email);
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, email);
  await person.arriveAt(page, 'Change your e-mail address');
  await page.goto(links.cancel);
  await person.arriveAt(page, 'Stop this change?');
  await page.goto(links.activate);
  await person.arriveAt(page, 'Use this address?');
  await page.goBack();
  await person.arriveAt(page, 'Stop this change?');
  await page.goBack();
  await person.arriveAt(page, 'Change your e-mail address');
  await page.goForward();
  await page.goForward();
  await person.arriveAt(page, 'Use this address?');
  await person.press(page, 'Use this address');
  await person.arriveAt(page, 'Your address is changed');
  await page.goBack();
  await person.arriveAt(page, 'Your address was changed already');
  await page.goForward();
  await person.arriveAt(page, 'This address is already yours');
  await watch.held();
});

test('opening, reloading and leaving a link changes nothing until a button is pressed', async () => {
  const links = await service.confirmed('looked@example.org', email);
  const mails = (await service.mails()).length;
  const { page, watch } = await visit(browser, service);
  for (const link of [links.activate, links.cancel]) {
    await page.goto(link);
    await page.reload();
    await page.goto(service.url);
  }
  assert.deepEqual(
    watch.calls.filter((call) => call !== 'POST /v1/email-change/inspect'),
    [],
  );
  assert.equal((await service.mails()).length, mails);
  assert.ok(await service.signIn(email), 'the address is the old one');
  await watch.held();
});
