// The texts in the language that the person reads, as far as there are any.
import { en, type Texts } from './en';

const LANGUAGES: Record<string, Texts> = { en };

function choose(wanted: readonly string[]): Texts {
  for (const tag of wanted) {
    const texts = LANGUAGES[tag.split('-')[0] ?? ''];
    if (texts) {
      return texts;
    }
  }
  return en;
}

export const texts = choose(navigator.languages);

/** A moment as the person writes it, in the language of the texts: "23 Nov 2026, 23:47". */
export function moment(rfc3339: string): string {
  const region = navigator.languages.find((tag) => tag.startsWith(texts.language));
  const format = new Intl.DateTimeFormat(region ?? texts.language, {
    dateStyle: 'medium',
    timeStyle: 'short',
  });
  return format.format(new Date(rfc3339));
}

export type { Texts };
