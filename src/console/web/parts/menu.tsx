import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface MenuProps {
  readonly label: ComponentChildren;
  readonly title: string;
  readonly children: ComponentChildren;
}

/** A button that opens a list. Closes on Escape, on a choice, and when the focus goes elsewhere. */
export function Menu({ label, title, children }: MenuProps) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const element = details.current;
    if (!element) return undefined;
    const close = (event: Event) => {
      if (event.target instanceof Node && element.contains(event.target)) return;
      element.open = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    const element = details.current;
    if (event.key !== "Escape" || !element?.open) return;
    event.stopPropagation();
    element.open = false;
    element.querySelector("summary")?.focus();
  };
  return (
    <details ref={details} class="menu" onKeyDown={onKeyDown}>
      <summary title={title} aria-label={title}>
        {label}
      </summary>
      <div class="list">{children}</div>
    </details>
  );
}
