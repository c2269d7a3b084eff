// What the pages say when something is refused, and that nothing was sent or changed by it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NARROW, startChromium, visit } from '../support/browser.js';
import { expectText } from '../support/expect.js';
import { look } from '../support/look.js';
import * as person from '../support/person.js';
import { PASSWORD, startService, token } from '../support/service.js';

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

let people = 0;
/** Somebody new with an account. */
function someone() {
  people += 1;
  const email = `person-${people}@example.com`;
  service.addUser(email);
  return email;
}

const open = (link) => visitAt(link, {});
async function visitAt(link, options) {
  const visitor = await visit(browser, service, options);
  await visitor.page.goto(link);
  return visitor;
}

test('a wrong password at sign-in is one sentence above the button', async () => {
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, someone(), 'wrong');
  await expectText(page.getByRole('alert'), 'No account has this address and password.');
  await look(page, '12-sign-in-refused');
  await watch.held(401);
});

test('empty fields are named at the field, and nothing is sent', async () => {
  const { page, watch } = await visit(browser, service, { viewport: NARROW });
  await page.goto(service.url);
  await person.arriveAt(page, 'Sign in');
  await person.press(page, 'Sign in');
  await expectText(described(page, 'E-mail address'), 'Enter an e-mail address.');
  await expectText(described(page, 'Password'), 'Enter your password.');
  assert.ok(await person.field(page, 'E-mail address').evaluate(hasFocus), 'the first is focused');
  await look(page, '13-sign-in-empty');
  assert.deepEqual(watch.calls, []);
  await watch.held();
});

test('a wrong password at settings sends no mail, and the right one does', async () => {
  const email = someone();
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, email);
  const before = (await service.mails()).length;
  await person.askForLink(page, 'wrong');
  await expectText(described(page, 'Password'), 'That is not the right password.');
  assert.ok(await person.field(page, 'Password').evaluate(hasFocus));
  await look(page, '23-settings-wrong-password');
  assert.equal((await service.mails()).length, before);
  await person.askForLink(page);
  await person.arriveAt(page, 'Look into your current mailbox');
  await watch.held(403);
});

test('two addresses that differ are sent nowhere', async () => {
  const { confirm } = await service.requested(someone());
  const { page, watch } = await open(confirm);
  const before = (await service.mails()).length;
  await person.enterNewAddress(page, 'new@example.org', { repeat: 'now@example.org' });
  await expectText(described(page, 'Repeat the new address'), 'The two addresses are not the same.');
  assert.ok(await person.field(page, 'Repeat the new address').evaluate(hasFocus));
  await look(page, '32-new-email-differs');
  assert.equal(watch.count('POST /v1/email-change/confirm'), 0);
  assert.equal((await service.mails()).length, before);
  await watch.held();
});

test('a wrong password, an impossible address and the same one are said at their fields', async () => {
  const email = someone();
  const { confirm } = await service.requested(email);
  const { page, watch } = await open(confirm);
  await person.enterNewAddress(page, 'new@example.org', { password: 'wrong' });
  await expectText(described(page, 'Password'), 'That is not the right password.');
  await look(page, '33-new-email-wrong-password');
  await person.enterNewAddress(page, 'new@localhost');
  await expectText(described(page, 'New e-mail address'), 'We cannot use this e-mail address.');
  await person.enterNewAddress(page, email);
  await expectText(described(page, 'New e-mail address'), 'your account already has');
  await look(page, '34-new-email-same');
  await watch.held(403, 422, 422);
});

test('a taken address looks like a free one, until its mailbox has been proven', async () => {
  const taken = someone();
  const { confirm } = await service.requested(someone());
  const { page, watch } = await open(confirm);
  await person.enterNewAddress(page, taken);
  await person.arriveAt(page, 'Look into your new mailbox');
  await expectText(page.getByRole('main'), taken);
  const [mail] = await service.mails();
  assert.equal(mail.to, taken);
  await page.goto(`${service.url}${mail.path}`);
  await look(page, '35-mail-taken');
  await watch.held();
});

test('an address that was taken meanwhile is told to who has proven the mailbox', async () => {
  const { activate } = await service.confirmed('contested@example.org', someone());
  const { page, watch } = await open(activate);
  await person.arriveAt(page, 'Use this address?');
  service.addUser('contested@example.org');
  await person.press(page, 'Use this address');
  await person.arriveAt(page, 'Another account has this address');
  await look(page, '43-activation-taken');
  await watch.held(409);
});

test('a used link says so, each in its own words', async () => {
  const links = await service.changed('used@example.org', someone());
  for (const [link, title, name] of [
    [links.confirm, 'This link was already used', '36-new-email-used'],
    [links.activate, 'This address is already yours', '44-activation-already'],
    [links.cancel, 'Your address was changed already', '62-cancel-used'],
  ]) {
    const { page, watch } = await open(link);
    await person.arriveAt(page, title);
    await look(page, name);
    await watch.held();
  }
  await service.undone(links);
  for (const [link, title, name] of [
    [links.undo, 'Your old address is already back', '52-undo-already'],
    [links.activate, 'This link no longer works', '45-activation-used'],
  ]) {
    const { page, watch } = await open(link);
    await person.arriveAt(page, title);
    await look(page, name);
    await watch.held();
  }
});

test('a link that was used while its page was open says so at the press', async () => {
  const { confirm } = await service.requested(someone());
  const { page, watch } = await open(confirm);
  await person.arriveAt(page, 'Enter your new address');
  const body = { token: token(confirm), password: PASSWORD, new_email: 'faster@example.org' };
  await service.post('/v1/email-change/confirm', body);
  await person.enterNewAddress(page, 'slower@example.org');
  await person.arriveAt(page, 'This link was already used');
  await watch.held(410);
});

test('a link of another kind, in pieces or without its token is not complete', async () => {
  const { confirm } = await service.requested(someone());
  for (const [link, refusals] of [
    [`${service.url}/new-email`, []],
    [`${service.url}/new-email?token=`, []],
    [confirm.slice(0, -5), [400]],
    [confirm.replace('/new-email', '/email-activation'), []],
  ]) {
    const { page, watch } = await open(link);
    await person.arriveAt(page, 'This link is not complete');
    await look(page, '70-link-incomplete');
    await watch.held(...refusals);
  }
});

test('a page that does not exist says so', async () => {
  const { page } = await open(`${service.url}/nowhere`);
  await person.arriveAt(page, 'There is no such page');
  await look(page, '71-not-found');
});

test('cancel stops the change, may be pressed again, and kills every link that is out', async () => {
  const links = await service.confirmed('cancelled@example.org', someone());
  const { page, watch } = await visitAt(links.cancel, { viewport: NARROW });
  await person.arriveAt(page, 'Stop this change?');
  await look(page, '60-cancel');
  await person.press(page, 'Stop the change');
  await person.arriveAt(page, 'The change is stopped');
  await look(page, '61-cancel-done');
  await page.goto(links.cancel);
  await person.press(page, 'Stop the change');
  await person.arriveAt(page, 'The change is stopped');
  await page.goto(links.activate);
  await person.arriveAt(page, 'This link no longer works');
  await page.goto(links.confirm);
  await person.arriveAt(page, 'This link was already used');
  await watch.held();
});

test('undo asks for the password, and says what to do next', async () => {
  const email = someone();
  const { undo } = await service.changed('thief@example.org', email);
  const { page, watch } = await visitAt(undo, { viewport: NARROW });
  await person.arriveAt(page, 'Get your old address back');
  await person.field(page, 'Password').fill('wrong');
  await person.press(page, 'Restore my old address');
  await expectText(described(page, 'Password'), 'That is not the right password.');
  await look(page, '53-undo-wrong-password');
  await person.field(page, 'Password').fill(PASSWORD);
  await person.press(page, 'Restore my old address');
  await person.arriveAt(page, 'Your old address is back');
  await expectText(page.getByRole('main'), email);
  await expectText(page.getByRole('main'), 'Reset your password');
  assert.ok(await service.signIn(email));
  await watch.held(403);
});

test('signing out ends the session of this tab', async () => {
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service, someone());
  await person.arriveAt(page, 'Change your e-mail address');
  await person.press(page, 'Sign out');
  await person.arriveAt(page, 'Sign in');
  await page.reload();
  await person.arriveAt(page, 'Sign in');
  await watch.held();
});

/** What is tied to a field as its error. */
function described(page, label) {
  return person.field(page, label).locator('xpath=ancestor::*[contains(@class,"field")][1]').locator(
    '.error',
  );
}

const hasFocus = (element) => element === document.activeElement;
