// What a person does on the pages, a function each, by what they read and press.
import { expectText } from './expect.js';
import { DEMO, PASSWORD } from './service.js';

export const heading = (page) => page.getByRole('heading', { level: 1 });
export const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
export const field = (page, label) => page.getByLabel(label, { exact: true });

/** Waits for a page that says this. */
export const arriveAt = (page, title) => expectText(heading(page), title);

export async function signIn(page, service, email = DEMO, password = PASSWORD) {
  await page.goto(service.url);
  await arriveAt(page, 'Sign in');
  await field(page, 'E-mail address').fill(email);
  await field(page, 'Password').fill(password);
  await press(page, 'Sign in');
}

export async function askForLink(page, password = PASSWORD) {
  await arriveAt(page, 'Change your e-mail address');
  await field(page, 'Password').fill(password);
  await press(page, 'Send link');
}

export async function enterNewAddress(page, email, { repeat = email, password = PASSWORD } = {}) {
  await arriveAt(page, 'Enter your new address');
  await field(page, 'New e-mail address').fill(email);
  await field(page, 'Repeat the new address').fill(repeat);
  await field(page, 'Password').fill(password);
  await press(page, 'Send link to the new address');
}

/** Opens the newest mail with that subject and follows its first link; the tab that opens. */
export async function followMail(page, service, subject) {
  await page.goto(`${service.url}/dev/mailbox`);
  await page.getByRole('link', { name: subject }).first().click();
  await arriveAt(page, subject);
  // The mail is in a frame without scripts, which a test cannot reach into: with the keyboard, as a
  // person can.
  // With its frame: before that, the keys go nowhere.
  await page.waitForLoadState('load');
  const opened = page.context().waitForEvent('page');
  await page.locator('iframe').focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  return opened;
}
