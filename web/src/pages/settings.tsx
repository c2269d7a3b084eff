// Step 1, request: the password, and a link to the current address.
import { getCurrentUser, type Problem, unwrap } from '@readdress/client';
import { useRequestEmailChange } from '@readdress/client/react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { demo } from '../demo';
import { entered, missing, useErrors } from '../parts/errors';
import { Form, PasswordField } from '../parts/form';
import { ActionLink, Address, Page, Waiting } from '../parts/page';
import { sentence } from '../sentence';
import { endSession, useAccessToken } from '../session';
import { moment, texts } from '../texts';
import { SignIn } from './sign-in';

const say = texts.settings;
const FIELDS = { wrong_password: 'password' };

export function Settings() {
  const token = useAccessToken();
  const [left, setLeft] = useState<'signed_out' | 'ended'>();
  if (token === undefined) {
    return <SignIn left={left} />;
  }
  const leave = (why: 'signed_out' | 'ended') => {
    setLeft(why);
    endSession();
  };
  return <Account leave={leave} />;
}

type Leave = (why: 'signed_out' | 'ended') => void;

/** An access token holds for minutes: the service says when it is over. */
function useEnd(problem: Problem | null, leave: Leave) {
  const over = problem?.code === 'unauthenticated';
  useEffect(() => {
    if (over) {
      leave('ended');
    }
  }, [over, leave]);
}

function Account({ leave }: { leave: Leave }) {
  const me = useQuery({
    queryKey: ['me'],
    queryFn: () => unwrap(getCurrentUser()),
    retry: false,
    networkMode: 'always',
    gcTime: 0,
  });
  const problem = me.error as Problem | null;
  useEnd(problem, leave);
  if (me.data) {
    return <RequestChange email={me.data.email} leave={leave} />;
  }
  if (problem === null || me.isFetching) {
    return <Waiting title={say.loading} />;
  }
  return (
    <Page title={say.failedTitle} tone="bad" arrived>
      <p>{sentence(problem)}</p>
      <button type="button" className="button" onClick={() => me.refetch()}>
        {texts.link.retry}
      </button>
    </Page>
  );
}

function RequestChange({ email, leave }: { email: string; leave: Leave }) {
  const request = useRequestEmailChange();
  const { errors, alert, passes } = useErrors(request.error, FIELDS);
  useEnd(request.error, leave);
  if (request.data) {
    const mailbox = demo()?.mailbox;
    return (
      <Page title={say.sentTitle} step={1} tone="mail" arrived>
        <p>{say.sent(request.data.sent_to)}</p>
        <p>{say.sentUntil(moment(request.data.expires_at))}</p>
        {mailbox && <ActionLink href={mailbox}>{texts.frame.demoMailbox}</ActionLink>}
        <p className="aside">{say.notArrived}</p>
        <button type="button" className="quiet" onClick={() => request.reset()}>
          {say.again}
        </button>
      </Page>
    );
  }
  return (
    <Page title={say.title} step={1} arrived>
      <dl className="current">
        <dt>{say.current}</dt>
        <dd>
          <Address>{email}</Address>
        </dd>
      </dl>
      <p>{say.intro}</p>
      <Form
        submit={say.submit}
        pending={request.isPending}
        errors={errors}
        alert={alert}
        onSubmit={(form) => {
          if (passes(missing(form, 'password'))) {
            request.mutate({ password: entered(form, 'password') });
          }
        }}
      >
        {/* For password managers: whose password it is. */}
        <input hidden readOnly autoComplete="username" value={email} />
        <PasswordField label={say.password} error={errors.password} />
      </Form>
      <p className="aside">
        <button type="button" className="quiet" onClick={() => leave('signed_out')}>
          {say.signOut}
        </button>
      </p>
    </Page>
  );
}
