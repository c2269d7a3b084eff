// What is wrong with a form: found before anything was sent, or answered by the service. Where a
// `code` speaks of a field, its sentence stands at that field; all others stand above the button.
import type { Problem, ProblemCode } from '@readdress/client';
import { useMemo, useState } from 'react';
import { sentence } from '../sentence';
import { texts } from '../texts';

/** By the field's name. */
export type Errors = Readonly<Record<string, string>>;

export type FieldOf = Partial<Record<ProblemCode, string>>;

export function useErrors(problem: Problem | null, fieldOf: FieldOf, say = sentence) {
  const [found, setFound] = useState<Errors>({});
  const answered = useMemo(() => {
    const field = problem ? fieldOf[problem.code] : undefined;
    return {
      errors: problem && field ? { [field]: say(problem) } : {},
      alert: problem && !field ? say(problem) : undefined,
    };
  }, [problem, fieldOf, say]);
  const nothingFound = Object.keys(found).length === 0;
  return {
    errors: nothingFound ? answered.errors : found,
    alert: nothingFound ? answered.alert : undefined,
    /** Shows what was found; true when that is nothing, and the form may be sent. */
    passes: (now: Errors) => {
      setFound(now);
      return Object.keys(now).length === 0;
    },
  };
}

/** The text of a field. */
export function entered(form: FormData, name: string): string {
  return String(form.get(name) ?? '');
}

/** What is missing from a form that has these fields. */
export function missing(form: FormData, ...names: ('email' | 'password')[]): Errors {
  const sentences = { email: texts.form.emailMissing, password: texts.form.passwordMissing };
  const empty = (name: string) => entered(form, name).trim() === '';
  return Object.fromEntries(names.filter(empty).map((name) => [name, sentences[name]]));
}
