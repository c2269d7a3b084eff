// A form: fields with their errors tied to them, one button, and a place for what is wrong with all
// of it. While it is pending the button stays where it is and can be focused, but does nothing.
import { useQueryClient } from '@tanstack/react-query';
import {
  type InputHTMLAttributes,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react';
import { texts } from '../texts';
import type { Errors } from './errors';

interface FormProps {
  submit: string;
  danger?: boolean;
  pending: boolean;
  /** By field; another object each time there is something new to look at. */
  errors?: Errors;
  /** What is wrong with no field in particular. */
  alert?: string | undefined;
  onSubmit: (form: FormData) => void;
  children?: ReactNode;
}

const NO_ERRORS: Errors = {};

/**
 * Whether nothing is on its way. The cache knows of a press at once; `pending` comes with the next
 * rendering, and the second half of a double press before it.
 */
export function useIdle(): () => boolean {
  const queries = useQueryClient();
  return () => queries.isMutating() === 0;
}

export function Form(props: FormProps) {
  const { submit, danger, pending, errors = NO_ERRORS, alert, onSubmit, children } = props;
  const form = useRef<HTMLFormElement>(null);
  const isIdle = useIdle();
  useEffect(() => {
    if (Object.keys(errors).length > 0) {
      form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    }
  }, [errors]);
  return (
    <form
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (isIdle()) {
          onSubmit(new FormData(event.currentTarget));
        }
      }}
    >
      {children}
      <div role="alert">{alert && <p className="alert">{alert}</p>}</div>
      <button
        type="submit"
        className={danger ? 'button danger' : 'button'}
        aria-disabled={pending}
        data-pending={pending || undefined}
      >
        {submit}
      </button>
      <p role="status" className="unseen">
        {pending && texts.form.pending}
      </p>
    </form>
  );
}

type FieldProps = Omit<InputHTMLAttributes<HTMLInputElement>, 'id' | 'children'> & {
  name: string;
  label: string;
  hint?: string;
  error: string | undefined;
  children?: ReactNode;
};

export function Field({ label, hint, error, children, ...input }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <div className="entry">
        <input
          id={id}
          required
          aria-invalid={error !== undefined}
          aria-describedby={described || undefined}
          {...input}
        />
        {children}
      </div>
      {error && (
        <p className="error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

/** A password can be looked at: a typing error in it costs one of a few tries. */
export function PasswordField(props: Omit<FieldProps, 'name' | 'type'>) {
  const [shown, setShown] = useState(false);
  return (
    <Field
      autoComplete="current-password"
      {...props}
      name="password"
      type={shown ? 'text' : 'password'}
      autoCapitalize="none"
      spellCheck={false}
    >
      <button
        type="button"
        className="reveal"
        aria-label={texts.form.showPassword}
        aria-pressed={shown}
        onClick={() => setShown(!shown)}
      >
        {shown ? texts.form.hide : texts.form.show}
      </button>
    </Field>
  );
}

export function EmailField(props: Omit<FieldProps, 'type'>) {
  return (
    <Field autoComplete="email" {...props} type="email" autoCapitalize="none" spellCheck={false} />
  );
}
