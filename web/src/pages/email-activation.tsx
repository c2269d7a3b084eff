// Step 3, activate: the address, one button, and the result.
import { useActivateEmailChange } from '@readdress/client/react';
import { useErrors } from '../parts/errors';
import { Form } from '../parts/form';
import { Ended, ending, LinkPage } from '../parts/link-page';
import { ActionLink, Address, Page } from '../parts/page';
import { texts } from '../texts';

const say = texts.activation;
const FIELDS = {};

export function EmailActivation() {
  return (
    <LinkPage kind="activate">
      {(token, link) => <Activate token={token} email={link.new_email} />}
    </LinkPage>
  );
}

function Activate({ token, email }: { token: string; email: string | undefined }) {
  const activate = useActivateEmailChange();
  const { alert } = useErrors(activate.error, FIELDS);
  const why = ending(activate.error);
  if (why) {
    return <Ended kind="activate" why={why} email={email} />;
  }
  if (activate.data) {
    return (
      <Page title={say.doneTitle} step={3} tone="good" arrived>
        <p>{say.done}</p>
        <Address>{activate.data.email}</Address>
        <p>{say.doneAfter}</p>
        <ActionLink href="/">{texts.link.toSettings}</ActionLink>
      </Page>
    );
  }
  return (
    <Page title={say.title} step={3} arrived>
      <p>{say.intro}</p>
      <Address>{email}</Address>
      <p>{say.after}</p>
      <Form
        submit={say.submit}
        pending={activate.isPending}
        alert={alert}
        onSubmit={() => activate.mutate({ token })}
      />
    </Page>
  );
}
