// From the settings page to the new address signed in, as a person goes: wide, at 320 pixels, and with
// the keyboard alone. Every page and state on the way is looked at.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NARROW, startChromium, visit, WIDE } from '../support/browser.js';
import { expectText } from '../support/expect.js';
import { look } from '../support/look.js';
import * as person from '../support/person.js';
import { DEMO, PASSWORD, startService } from '../support/service.js';

let browser;
before(async () => {
  browser = await startChromium();
});
after(() => browser.close());

for (const [how, viewport] of [
  ['on a wide screen', WIDE],
  ['at 320 pixels', NARROW],
]) {
  test(`the whole story, ${how}`, async (t) => {
    const service = await startService();
    t.after(() => service.stop());
    const { page, watch } = await visit(browser, service, { viewport });
    await page.goto(service.url);
    await person.arriveAt(page, 'Sign in');
    await look(page, '10-sign-in');
    await page.goto(`${service.url}/dev/mailbox`);
    await look(page, '11-mailbox-empty');

    await person.signIn(page, service);
    await person.arriveAt(page, 'Change your e-mail address');
    await expectText(page.getByRole('main'), DEMO);
    await look(page, '20-settings');
    await person.askForLink(page);
    await person.arriveAt(page, 'Look into your current mailbox');
    await look(page, '21-settings-sent');

    const confirm = await person.followMail(page, service, 'Change your e-mail address');
    await look(page, '22-mail');
    await person.arriveAt(confirm, 'Enter your new address');
    await look(confirm, '30-new-email');
    await person.enterNewAddress(confirm, 'new@example.org');
    await person.arriveAt(confirm, 'Look into your new mailbox');
    await expectText(confirm.getByRole('main'), 'new@example.org');
    await look(confirm, '31-new-email-sent');
    assert.equal(await whoIsSignedIn(service), DEMO, 'nothing has changed yet');

    const activate = await person.followMail(page, service, 'Confirm this e-mail address');
    await person.arriveAt(activate, 'Use this address?');
    await expectText(activate.getByRole('main'), 'new@example.org');
    await look(activate, '40-activation');
    await person.press(activate, 'Use this address');
    await person.arriveAt(activate, 'Your address is changed');
    await look(activate, '41-activation-done');

    const again = await (await visit(browser, service, { viewport })).context.newPage();
    await person.signIn(again, service, 'new@example.org');
    await person.arriveAt(again, 'Change your e-mail address');
    await expectText(again.getByRole('main'), 'new@example.org');

    await page.goto(`${service.url}/dev/mailbox`);
    await look(page, '42-mailbox');
    const undo = await person.followMail(page, service, 'is being changed');
    await person.arriveAt(undo, 'Get your old address back');
    await look(undo, '50-undo');
    await person.field(undo, 'Password').fill(PASSWORD);
    await person.press(undo, 'Restore my old address');
    await person.arriveAt(undo, 'Your old address is back');
    await expectText(undo.getByRole('main'), 'Reset your password');
    await look(undo, '51-undo-done');
    assert.equal(await whoIsSignedIn(service), DEMO);

    await watch.held();
  });
}

test('the whole story, with the keyboard alone', async (t) => {
  const service = await startService();
  t.after(() => service.stop());
  const { page, watch } = await visit(browser, service);
  await page.goto(service.url);
  await person.arriveAt(page, 'Sign in');
  await tabTo(page, 'E-mail address');
  await page.keyboard.type(DEMO);
  await tabTo(page, 'Password');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');

  await person.arriveAt(page, 'Change your e-mail address');
  assert.equal(await focused(page), 'Change your e-mail address', 'the focus is on what is new');
  await tabTo(page, 'Password');
  await page.keyboard.type(PASSWORD);
  await tabTo(page, 'Send link');
  await page.keyboard.press('Enter');
  await person.arriveAt(page, 'Look into your current mailbox');
  assert.equal(await focused(page), 'Look into your current mailbox');
  await tabTo(page, 'Open the demo mailbox');
  await page.keyboard.press('Enter');

  const confirm = await openMail(page, 'Change your e-mail address');
  await person.arriveAt(confirm, 'Enter your new address');
  assert.equal(await focused(confirm), 'Enter your new address');
  for (const [label, text] of [
    ['New e-mail address', 'new@example.org'],
    ['Repeat the new address', 'new@example.org'],
    ['Password', PASSWORD],
  ]) {
    await tabTo(confirm, label);
    await confirm.keyboard.type(text);
  }
  await tabTo(confirm, 'Send link to the new address');
  await confirm.keyboard.press('Space');
  await person.arriveAt(confirm, 'Look into your new mailbox');
  assert.equal(await focused(confirm), 'Look into your new mailbox');
  await tabTo(confirm, 'Open the demo mailbox');
  await confirm.keyboard.press('Enter');

  const activate = await openMail(confirm, 'Confirm this e-mail address');
  await person.arriveAt(activate, 'Use this address?');
  await tabTo(activate, 'Use this address');
  await activate.keyboard.press('Enter');
  await person.arriveAt(activate, 'Your address is changed');
  assert.equal(await focused(activate), 'Your address is changed');
  assert.equal(await whoIsSignedIn(service, 'new@example.org'), 'new@example.org');
  await watch.held();
});

async function whoIsSignedIn(service, email = DEMO) {
  const Authorization = `Bearer ${await service.signIn(email)}`;
  const me = await fetch(`${service.url}/v1/me`, { headers: { Authorization } });
  return (await me.json()).email;
}

/** In the mailbox: to the mail, into its frame, to its first link. */
async function openMail(page, subject) {
  await person.arriveAt(page, 'Mailbox');
  await tabTo(page, new RegExp(subject));
  await page.keyboard.press('Enter');
  await person.arriveAt(page, subject);
  await tabTo(page, 'The mail');
  const opened = page.context().waitForEvent('page');
  await page.keyboard.press('Enter');
  return opened;
}

/** Presses Tab until that has the focus. */
async function tabTo(page, name) {
  const met = [];
  for (let presses = 0; presses < 25; presses += 1) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    if (name instanceof RegExp ? name.test(now) : now === name) {
      return;
    }
    met.push(now);
  }
  assert.fail(`Tab never comes to “${name}”, but to ${JSON.stringify(met)}`);
}

/** What has the focus, by the name that it has for a screen reader. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.textContent;
    return (label ?? element.ariaLabel ?? (element.title || element.textContent)).trim();
  });
}
