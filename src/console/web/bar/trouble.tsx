import { Copy } from "../parts/copy.tsx";
import { type Problem, reload } from "../state/load.ts";

const TITLES: Readonly<Record<Problem["kind"], string>> = {
  session: "The session is over",
  request: "The console does not take this view",
  unreachable: "The console does not answer",
  server: "The console failed",
};

/** Says what went wrong, and what to do about it. */
export function Trouble({ problem, what = "page" }: { readonly problem: Problem; readonly what?: string }) {
  return (
    <div class="trouble" role="alert">
      <h2>{TITLES[problem.kind]}</h2>
      <p class="muted">{problem.message}</p>
      <NextStep problem={problem} what={what} />
    </div>
  );
}

function NextStep({ problem, what }: { readonly problem: Problem; readonly what: string }) {
  if (problem.kind === "session") {
    return (
      <p>
        A new link to this page comes from <Copy text="hover console" label="the command for a new session" />
      </p>
    );
  }
  if (problem.kind === "request" && what === "trace") {
    return (
      <p>
        Traces are kept as long as there is room: failures, the slowest, and a sample of the rest stay
        longest.
      </p>
    );
  }
  if (problem.kind === "request") {
    return (
      <p>
        <a href={location.pathname}>Begin anew</a>, or mend the address above.
      </p>
    );
  }
  return (
    <p>
      {problem.kind === "unreachable" && (
        <>
          Is the fleet up? <Copy text="hover doctor" label="the command that checks the fleet" />{" "}
        </>
      )}
      <button type="button" class="chip" onClick={reload}>
        Try again
      </button>
    </p>
  );
}
