// Signing in, for the demo and for those without an identity provider. A host application that has
// its own sessions leaves this page out.
import type { Problem } from '@readdress/client';
import { useSignIn } from '@readdress/client/react';
import { useRef } from 'react';
import { demo } from '../demo';
import { entered, missing, useErrors } from '../parts/errors';
import { EmailField, Form, PasswordField } from '../parts/form';
import { Page } from '../parts/page';
import { sentence } from '../sentence';
import { startSession } from '../session';
import { texts } from '../texts';

const say = texts.signIn;
const FIELDS = {};

/** Here, not being signed in means that address and password are refused. */
function refusal(problem: Problem): string {
  switch (problem.code) {
    case 'unauthenticated':
      return say.refused;
    case 'not_found':
      return say.notOffered;
    default:
      return sentence(problem);
  }
}

/** `left` says why the person is here again. */
export function SignIn({ left }: { left: 'signed_out' | 'ended' | undefined }) {
  const signIn = useSignIn();
  const { errors, alert, passes } = useErrors(signIn.error, FIELDS, refusal);
  return (
    <Page title={say.title} arrived={left !== undefined}>
      <p>{left === 'ended' ? say.ended : say.intro}</p>
      <DemoUser />
      <Form
        submit={say.submit}
        pending={signIn.isPending}
        errors={errors}
        alert={alert}
        onSubmit={(form) => {
          if (passes(missing(form, 'email', 'password'))) {
            const body = {
              email: entered(form, 'email').trim(),
              password: entered(form, 'password'),
            };
            signIn.mutate(body, { onSuccess: startSession });
          }
        }}
      >
        <EmailField name="email" label={say.email} error={errors.email} autoComplete="username" />
        <PasswordField label={say.password} error={errors.password} />
      </Form>
    </Page>
  );
}

/** Two minutes from here to a changed address: nobody should have to type these. */
function DemoUser() {
  const notice = useRef<HTMLDivElement>(null);
  const user = demo()?.user;
  if (!user) {
    return null;
  }
  const fillIn = () => {
    const form = notice.current?.parentElement?.querySelector('form');
    for (const [name, value] of Object.entries(user)) {
      const field = form?.elements.namedItem(name);
      if (field instanceof HTMLInputElement) {
        field.value = value;
      }
    }
    form?.querySelector<HTMLElement>('[type="submit"]')?.focus();
  };
  return (
    <div className="notice" ref={notice}>
      <p>{texts.frame.demoUser(user.email, user.password)}</p>
      <button type="button" className="quiet" onClick={fillIn}>
        {texts.frame.fillIn}
      </button>
    </div>
  );
}
