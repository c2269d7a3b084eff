// Everything that the pages say, in English. `Texts` is its shape: another language is an object of
// that type, and the compiler names what it lacks. What can go wrong is listed by `code`.

/** "in 40 seconds", "in 3 minutes": rounded up, so that waiting that long is enough. */
function after(seconds: number | undefined): string {
  if (seconds === undefined) {
    return 'shortly';
  }
  if (seconds < 90) {
    return `in ${Math.max(1, seconds)} ${seconds <= 1 ? 'second' : 'seconds'}`;
  }
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `in ${minutes} minutes` : `in ${Math.ceil(minutes / 60)} hours`;
}

export const en = {
  language: 'en',

  frame: {
    product: 'readdress',
    demo: 'This is a demo: no mail leaves this machine.',
    demoMailbox: 'Open the demo mailbox',
    demoUser: (email: string, password: string) =>
      `Sign in as ${email} with “${password}”; after a change, with the new address.`,
    fillIn: 'Fill in the demo account',
  },

  steps: {
    count: (step: number, all: number) => `Step ${step} of ${all}`,
  },

  form: {
    pending: 'One moment …',
    show: 'Show',
    hide: 'Hide',
    showPassword: 'Show password',
    passwordMissing: 'Enter your password.',
    emailMissing: 'Enter an e-mail address.',
  },

  signIn: {
    title: 'Sign in',
    intro: 'Sign in to change the e-mail address of your account.',
    ended:
      'You have been signed out, because signing in holds for a short time only. Please sign in again.',
    email: 'E-mail address',
    password: 'Password',
    submit: 'Sign in',
    refused: 'No account has this address and password. Check both and try again.',
    notOffered:
      'You cannot sign in on this page. Sign in to the application that your account belongs to.',
  },

  settings: {
    title: 'Change your e-mail address',
    loading: 'Loading your account …',
    failedTitle: 'We could not load your account',
    current: 'Current address',
    intro:
      'First we send a link to your current address, to make sure that it is you who asks. Nothing changes until you have opened it and confirmed the new address.',
    password: 'Password',
    submit: 'Send link',
    sentTitle: 'Look into your current mailbox',
    sent: (to: string) => `We sent a link to ${to}. Open it to enter your new address.`,
    sentUntil: (time: string) => `The link works once, until ${time}.`,
    notArrived:
      'Nothing there after a few minutes? Look into the spam folder, or ask for another link.',
    again: 'Ask for another link',
    signOut: 'Sign out',
  },

  newEmail: {
    title: 'Enter your new address',
    intro:
      'We will send a link to the new address. Your account keeps the current one until you open that link.',
    email: 'New e-mail address',
    repeat: 'Repeat the new address',
    differs: 'The two addresses are not the same. Check both.',
    password: 'Password',
    passwordHint: 'Of your account, once more.',
    submit: 'Send link to the new address',
    sentTitle: 'Look into your new mailbox',
    sent: (to: string) => `We sent a link to ${to}. Open it to finish.`,
    sentUntil: (time: string) =>
      `The link works once, until ${time}. Your account keeps its current address until then.`,
    sentAgain: 'We sent it again.',
    notArrived:
      'Nothing there after a few minutes? Look into the spam folder, or have it sent again. Is the address misspelt? Then start again: nothing has changed.',
    again: 'Send it again',
  },

  activation: {
    title: 'Use this address?',
    intro: 'From now on, your account will have this address:',
    after:
      'We tell your old address about it. You sign in with the new one; your password stays the same.',
    submit: 'Use this address',
    doneTitle: 'Your address is changed',
    done: 'Your account now has this address:',
    doneAfter:
      'Sign in with it from now on. Your old address got a message with which the change can be undone.',
  },

  cancel: {
    title: 'Stop this change?',
    intro:
      'Somebody who knows your password asked to change the e-mail address of your account. If it was not you, stop it here: your account keeps its address, and the links that were sent no longer work.',
    submit: 'Stop the change',
    doneTitle: 'The change is stopped',
    done: 'Your account keeps its e-mail address, and the links that were sent no longer work.',
    doneAfter: 'If it was not you who asked, change your password now: somebody else knows it.',
  },

  undo: {
    title: 'Get your old address back',
    intro:
      'The e-mail address of your account was changed. If you did not want that, get the old address back here.',
    password: 'Password',
    passwordHint: 'The one you had before the change, even if it has been changed since.',
    submit: 'Restore my old address',
    doneTitle: 'Your old address is back',
    done: 'Your account has this address again:',
    nextTitle: 'Do this now',
    next: [
      'Reset your password. Whoever changed the address knew it, and may have set another.',
      'Sign out everywhere: they may still be signed in.',
    ],
  },

  link: {
    checking: 'Checking your link …',
    failedTitle: 'We could not check your link',
    retry: 'Try again',
    toSettings: 'Go to settings',
    restart: 'Start again in settings',
    invalidTitle: 'This link is not complete',
    invalid:
      'Open it from the message once more, or copy all of it: some mail programs break long links.',
  },

  /** Why a link does nothing any more, by what it was for; and what to do next. */
  ended: {
    confirm: {
      expired: {
        title: 'This link has expired',
        text: 'It was made for a short time only, and nothing has changed. Start again to get a new one.',
      },
      used: {
        title: 'This link was already used',
        text: 'Have you just entered your new address? Then look into that mailbox for the next link. If not, the change was stopped, or a newer one took its place: start again to get a new link.',
      },
    },
    activate: {
      expired: {
        title: 'This link has expired',
        text: 'Your account keeps its address. To change it, start again.',
      },
      used: {
        title: 'This link no longer works',
        text: 'The change was stopped, a newer one took its place, or your account has changed since. To change your address, start again.',
      },
      already_active: {
        title: 'This address is already yours',
        text: 'The change is done, and there is nothing left to do. Your account has this address:',
      },
      email_taken: {
        title: 'Another account has this address',
        text: 'It took the address before you pressed the button. Your account keeps the address it has. If both accounts are yours, sign in with this address; if not, start again with another one.',
      },
    },
    cancel: {
      expired: {
        title: 'This link has expired',
        text: 'The change it would have stopped can no longer happen either, because its links have expired, too. If your address was changed, open the link in the message that told you so. If you did not ask for a change, change your password.',
      },
      used: {
        title: 'Your address was changed already',
        text: 'This link can no longer stop it. To get your old address back, open the link in the message “Your e-mail address is being changed”, which we sent there.',
      },
    },
    undo: {
      expired: {
        title: 'This link has expired',
        text: 'The time in which this change could be undone is over. Write to those who run the service: they can help once they know that it is you.',
      },
      used: {
        title: 'This link no longer works',
        text: 'This change was undone before, or never happened. If your account does not have the address it should have, write to those who run the service.',
      },
      already_undone: {
        title: 'Your old address is already back',
        text: 'There is nothing left to undo. If you have not done so: reset your password, and sign out everywhere.',
      },
      email_taken: {
        title: 'Another account has your old address',
        text: 'It took the address after the change, so we cannot give it back here. Write to those who run the service: they can help once they know that it is you.',
      },
    },
  },

  notFound: {
    title: 'There is no such page',
    text: 'Perhaps the link is incomplete. Open it from the message once more.',
  },

  /** One sentence for each `code`, where a page has nothing better to say. */
  problems: {
    malformedRequest: 'This page is older than the service. Reload it and try again.',
    invalidLink: 'This link is not complete. Open it from the message once more.',
    unauthenticated: 'You are no longer signed in. Sign in and try again.',
    wrongPassword: 'That is not the right password. Try again.',
    notFound: 'This is not offered here. Tell those who run the service.',
    methodNotAllowed:
      'This page asked in a way that the service does not know. Reload it and try again.',
    requestTimeout:
      'Your connection is slow, and not all of it arrived. Nothing has changed; try again.',
    emailTaken: 'Another account has this address.',
    linkExpired: 'This link has expired. Start again to get a new one.',
    linkUsed: 'This link was already used, or the change was stopped.',
    payloadTooLarge: 'That is too long. Shorten what you entered.',
    unsupportedMediaType:
      'Something between this page and the service changed what you sent. Try another network.',
    invalidEmail: 'We cannot use this e-mail address. Check it for typing errors.',
    sameEmail: 'This is the address that your account already has. Enter another one.',
    undeliverable:
      'The mail server says that this mailbox does not exist. Check the address for typing errors.',
    rateLimited: (wait: number | undefined) => `Too many tries. Try again ${after(wait)}.`,
    internal: (id: string | undefined) =>
      `Something broke on our side. If it happens again, tell those who run the service${id ? ` this number: ${id}` : ''}.`,
    overloaded: (wait: number | undefined) =>
      `Many people are here right now. Nothing has changed; try again ${after(wait)}.`,
    mailUnavailable: (wait: number | undefined) =>
      `The mail could not be sent. Nothing has changed; try again ${after(wait)}.`,
    databaseUnavailable: (wait: number | undefined) =>
      `We cannot reach your account right now. Nothing has changed; try again ${after(wait)}.`,
    networkError: 'No answer came. Check your connection and try again.',
    unexpectedResponse:
      'Something between this page and the service answered instead of it. Try again shortly, or on another network.',
  },
};

export type Texts = typeof en;
