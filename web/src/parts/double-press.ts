// The second press of a double click is not meant for what has just come under the pointer: the page
// that follows a quick answer has links of its own there.

/** Leaves only the first press of a double click to links and buttons. */
export function ignoreSecondPress() {
  const guard = (event: MouseEvent) => {
    const control = event.target instanceof Element && event.target.closest('a, button');
    if (event.detail > 1 && control) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  document.addEventListener('click', guard, { capture: true });
  return () => document.removeEventListener('click', guard, { capture: true });
}
