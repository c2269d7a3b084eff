// What the four pages of the links share: the token, one inspection on load, and what to say of a link
// that does nothing any more. Only a link that holds reaches the page itself.
import type { InspectedKind, InspectedLink, Problem } from '@readdress/client';
import { useLink, useLinkToken } from '@readdress/client/react';
import type { ReactNode } from 'react';
import { sentence } from '../sentence';
import { texts } from '../texts';
import { ActionLink, Address, Page, Waiting } from './page';

interface LinkPageProps {
  kind: InspectedKind;
  children: (token: string, link: InspectedLink) => ReactNode;
}

export function LinkPage({ kind, children }: LinkPageProps) {
  const token = useLinkToken();
  const link = useLink(token);
  if (token === undefined) {
    return <Ended kind={kind} why="invalid" />;
  }
  if (link.isFetching) {
    return <Waiting title={texts.link.checking} />;
  }
  if (link.isError) {
    const why = ending(link.error);
    return why ? (
      <Ended kind={kind} why={why} />
    ) : (
      <Failed problem={link.error} retry={link.refetch} />
    );
  }
  if (link.data === undefined || link.data.kind !== kind) {
    return <Ended kind={kind} why="invalid" />;
  }
  const { state, new_email } = link.data;
  return state === 'usable' ? (
    children(token, link.data)
  ) : (
    <Ended kind={kind} why={state} email={new_email} />
  );
}

function Failed({ problem, retry }: { problem: Problem; retry: () => void }) {
  return (
    <Page title={texts.link.failedTitle} tone="bad" arrived>
      <p>{sentence(problem)}</p>
      <button type="button" className="button" onClick={() => retry()}>
        {texts.link.retry}
      </button>
    </Page>
  );
}

/** Why a link does nothing any more. */
export type Ending =
  | 'invalid'
  | 'expired'
  | 'used'
  | 'already_active'
  | 'already_undone'
  | 'email_taken';

/** What a step's answer says of its link; undefined when the same link may be tried again. */
export function ending(problem: Problem | null): Ending | undefined {
  switch (problem?.code) {
    case 'invalid_link':
      return 'invalid';
    case 'link_expired':
      return 'expired';
    case 'link_used':
      return 'used';
    case 'email_taken':
      return 'email_taken';
    default:
      return undefined;
  }
}

interface EndedProps {
  kind: InspectedKind;
  why: Ending;
  email?: string | undefined;
}

export function Ended({ kind, why, email }: EndedProps) {
  const known: Partial<Record<Ending, { title: string; text: string }>> = {
    invalid: { title: texts.link.invalidTitle, text: texts.link.invalid },
    ...texts.ended[kind],
  };
  const { title, text } = known[why] ?? texts.ended[kind].used;
  const done = why === 'already_active' || why === 'already_undone';
  const again = !done && why !== 'invalid' && (kind === 'confirm' || kind === 'activate');
  return (
    <Page title={title} tone={done ? 'good' : 'bad'} arrived>
      <p>{text}</p>
      {why === 'already_active' && <Address>{email}</Address>}
      <ActionLink href="/">{again ? texts.link.restart : texts.link.toSettings}</ActionLink>
    </Page>
  );
}
