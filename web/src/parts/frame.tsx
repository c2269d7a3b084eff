// Around every page: the name above, and in a demo the way to its mailbox below.
import { type ReactNode, useEffect } from 'react';
import { demo } from '../demo';
import { texts } from '../texts';
import { ignoreSecondPress } from './double-press';

export function Frame({ children }: { children: ReactNode }) {
  useEffect(ignoreSecondPress, []);
  const mailbox = demo()?.mailbox;
  return (
    <div className="frame">
      <header>
        <a className="brand" href="/">
          <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <rect width="32" height="32" rx="8" />
            <path d="M8 11.5h16v10H8z M8.5 12l7.5 6 7.5-6" />
          </svg>
          {texts.frame.product}
        </a>
      </header>
      <main>{children}</main>
      {mailbox && (
        <footer>
          {texts.frame.demo} <a href={mailbox}>{texts.frame.demoMailbox}</a>
        </footer>
      )}
    </div>
  );
}
