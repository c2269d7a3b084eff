// Cancel: the owner of the current address stops a change that somebody else asked for.
import { useCancelEmailChange } from '@readdress/client/react';
import { useErrors } from '../parts/errors';
import { Form } from '../parts/form';
import { Ended, ending, LinkPage } from '../parts/link-page';
import { Page } from '../parts/page';
import { texts } from '../texts';

const say = texts.cancel;
const FIELDS = {};

export function CancelEmailChange() {
  return <LinkPage kind="cancel">{(token) => <Cancel token={token} />}</LinkPage>;
}

function Cancel({ token }: { token: string }) {
  const cancel = useCancelEmailChange();
  const { alert } = useErrors(cancel.error, FIELDS);
  const why = ending(cancel.error);
  if (why) {
    return <Ended kind="cancel" why={why} />;
  }
  if (cancel.data) {
    return (
      <Page title={say.doneTitle} tone="good" arrived>
        <p>{say.done}</p>
        <p>
          <strong>{say.doneAfter}</strong>
        </p>
      </Page>
    );
  }
  return (
    <Page title={say.title} arrived>
      <p>{say.intro}</p>
      <Form
        danger
        submit={say.submit}
        pending={cancel.isPending}
        alert={alert}
        onSubmit={() => cancel.mutate({ token })}
      />
    </Page>
  );
}
