// One view: its heading, the step it is, and what became of it. A view that took another's place
// (`arrived`) gets the focus on its heading, so that whoever cannot see it hears it, and the next Tab
// goes on from there.
import { type ReactNode, useEffect, useRef } from 'react';
import { texts } from '../texts';

const STEPS = 3;

interface PageProps {
  title: string;
  step?: 1 | 2 | 3;
  /** How it ended, if it did. */
  tone?: 'good' | 'bad' | 'mail';
  arrived?: boolean;
  children: ReactNode;
}

export function Page({ title, step, tone, arrived = false, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · ${texts.frame.product}`;
    if (arrived) {
      heading.current?.focus();
    }
  }, [title, arrived]);
  return (
    <article className="card">
      {step && <Steps step={step} />}
      {tone && <Mark tone={tone} />}
      <h1 ref={heading} tabIndex={-1}>
        {unbroken(title)}
      </h1>
      {children}
    </article>
  );
}

/** In large type, "e-" at the end of a line and "mail" on the next looks like a mistake. */
function unbroken(title: string): ReactNode {
  const [before, after] = title.split('e-mail');
  return after === undefined ? (
    title
  ) : (
    <>
      {before}
      <span className="unbroken">e-mail</span>
      {after}
    </>
  );
}

function Steps({ step }: { step: number }) {
  return (
    <p className="steps">
      {texts.steps.count(step, STEPS)}
      <progress aria-hidden="true" max={STEPS} value={step} />
    </p>
  );
}

const MARKS = {
  good: 'M9 16.5l5 5 9.5-11',
  bad: 'M16 9v9 M16 22.5v.5',
  mail: 'M8.5 11h15v10.5h-15z M9 11.5l7 5.5 7-5.5',
};

function Mark({ tone }: { tone: keyof typeof MARKS }) {
  return (
    <svg className={`mark ${tone}`} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <circle cx="16" cy="16" r="16" />
      <path d={MARKS[tone]} />
    </svg>
  );
}

/** Until the service has answered. */
export function Waiting({ title }: { title: string }) {
  return (
    <Page title={title}>
      <p role="status" className="waiting">
        {texts.form.pending}
      </p>
    </Page>
  );
}

/** An address by itself on a line, however long. */
export function Address({ children }: { children: string | undefined }) {
  return <p className="address">{children}</p>;
}

/** Where to go on. */
export function ActionLink({ href, children }: { href: string; children: string }) {
  return (
    <p className="action">
      <a className="button" href={href}>
        {children}
      </a>
    </p>
  );
}
