// Undo: the owner of the old address gets it back with the password of then, and is told to reset it.
import { useUndoEmailChange } from '@readdress/client/react';
import { entered, missing, useErrors } from '../parts/errors';
import { Form, PasswordField } from '../parts/form';
import { Ended, ending, LinkPage } from '../parts/link-page';
import { Address, Page } from '../parts/page';
import { texts } from '../texts';

const say = texts.undo;
const FIELDS = { wrong_password: 'password' };

export function UndoEmailChange() {
  return <LinkPage kind="undo">{(token) => <Undo token={token} />}</LinkPage>;
}

function Undo({ token }: { token: string }) {
  const undo = useUndoEmailChange();
  const { errors, alert, passes } = useErrors(undo.error, FIELDS);
  const why = ending(undo.error);
  if (why) {
    return <Ended kind="undo" why={why} />;
  }
  if (undo.data) {
    return (
      <Page title={say.doneTitle} tone="good" arrived>
        <p>{say.done}</p>
        <Address>{undo.data.email}</Address>
        <h2>{say.nextTitle}</h2>
        <ol>
          {say.next.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      </Page>
    );
  }
  return (
    <Page title={say.title} arrived>
      <p>{say.intro}</p>
      <Form
        submit={say.submit}
        pending={undo.isPending}
        errors={errors}
        alert={alert}
        onSubmit={(form) => {
          if (passes(missing(form, 'password'))) {
            undo.mutate({ token, password: entered(form, 'password') });
          }
        }}
      >
        <PasswordField label={say.password} hint={say.passwordHint} error={errors.password} />
      </Form>
    </Page>
  );
}
