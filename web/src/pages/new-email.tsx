// Step 2, confirm: the new address twice, the password once more, and a link to the new address.
import type { MailSent } from '@readdress/client';
import { useConfirmEmailChange } from '@readdress/client/react';
import { useState } from 'react';
import { demo } from '../demo';
import { type Errors, entered, missing, useErrors } from '../parts/errors';
import { EmailField, Form, PasswordField, useIdle } from '../parts/form';
import { Ended, ending, LinkPage } from '../parts/link-page';
import { ActionLink, Page } from '../parts/page';
import { moment, texts } from '../texts';

const say = texts.newEmail;
const FIELDS = {
  wrong_password: 'password',
  invalid_email: 'email',
  same_email: 'email',
  undeliverable: 'email',
};

export function NewEmail() {
  return <LinkPage kind="confirm">{(token) => <Confirm token={token} />}</LinkPage>;
}

/** Nothing is sent unless both say the same, in whatever case. */
function check(form: FormData): Errors {
  const [email, repeat] = ['email', 'repeat'].map((name) =>
    entered(form, name).trim().toLowerCase(),
  );
  const differs: Errors = email === repeat ? {} : { repeat: say.differs };
  return { ...differs, ...missing(form, 'email', 'password') };
}

function Confirm({ token }: { token: string }) {
  const confirm = useConfirmEmailChange();
  const { errors, alert, passes } = useErrors(confirm.error, FIELDS);
  const [sent, setSent] = useState<MailSent>();
  const why = ending(confirm.error);
  if (why) {
    return <Ended kind="confirm" why={why} />;
  }
  if (sent) {
    return <Sent sent={sent} confirm={confirm} />;
  }
  return (
    <Page title={say.title} step={2} arrived>
      <p>{say.intro}</p>
      <Form
        submit={say.submit}
        pending={confirm.isPending}
        errors={errors}
        alert={alert}
        onSubmit={(form) => {
          if (passes(check(form))) {
            const new_email = entered(form, 'email').trim();
            const body = { token, new_email, password: entered(form, 'password') };
            confirm.mutate(body, { onSuccess: setSent });
          }
        }}
      >
        <EmailField name="email" label={say.email} error={errors.email} />
        <EmailField name="repeat" label={say.repeat} error={errors.repeat} />
        <PasswordField label={say.password} hint={say.passwordHint} error={errors.password} />
      </Form>
    </Page>
  );
}

/** The same confirm may be sent again while its first mail is out; another address may not. */
function Sent({
  sent,
  confirm,
}: {
  sent: MailSent;
  confirm: ReturnType<typeof useConfirmEmailChange>;
}) {
  const mailbox = demo()?.mailbox;
  const { alert } = useErrors(confirm.error, {});
  const [again, setAgain] = useState(false);
  const isIdle = useIdle();
  return (
    <Page title={say.sentTitle} step={2} tone="mail" arrived>
      <p>{say.sent(sent.sent_to)}</p>
      <p>{say.sentUntil(moment(sent.expires_at))}</p>
      {mailbox && <ActionLink href={mailbox}>{texts.frame.demoMailbox}</ActionLink>}
      <p className="aside">{say.notArrived}</p>
      <div role="alert">{alert && <p className="alert">{alert}</p>}</div>
      <button
        type="button"
        className="quiet"
        aria-disabled={confirm.isPending}
        onClick={() => {
          if (isIdle() && confirm.variables) {
            setAgain(false);
            confirm.mutate(confirm.variables, { onSuccess: () => setAgain(true) });
          }
        }}
      >
        {say.again}
      </button>{' '}
      <span role="status">{again && say.sentAgain}</span>
    </Page>
  );
}
