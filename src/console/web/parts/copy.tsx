import { useState } from "preact/hooks";
import { announcement } from "../state/announcement.ts";
import { Icon } from "./icons.tsx";

const SHOWN_MS = 1_500;

interface CopyProps {
  readonly text: string;
  /** What is copied, for screen readers. */
  readonly label: string;
  /** Whether the text is shown, or a button alone. */
  readonly isShown?: boolean;
}

/** A command, with a button that copies it. */
export function Copy({ text, label, isShown = true }: CopyProps) {
  const [isCopied, setCopied] = useState(false);
  const copy = () => {
    void copyText(text).then((done) => {
      announcement.value = done ? `${label} copied` : `${label} could not be copied`;
      setCopied(done);
      setTimeout(() => setCopied(false), SHOWN_MS);
    });
  };
  return (
    <span class={isShown ? "command" : "command bare"}>
      {isShown && (
        <code title={text}>
          <span class="prompt" aria-hidden="true">
            ${" "}
          </span>
          {text}
        </code>
      )}
      <button
        type="button"
        class="quiet square"
        title={`Copy: ${text}`}
        aria-label={`Copy ${label}`}
        onClick={copy}
      >
        <Icon name={isCopied ? "check" : isShown ? "copy" : "terminal"} />
      </button>
    </span>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** The clipboard's interface is there on secure origins only. */
function copyBySelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "off-screen";
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}
