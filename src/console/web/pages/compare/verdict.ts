import type { Comparison } from "../../../../lib/latency/answers.ts";
import { duration, probability } from "../../format/format.ts";

/** What the rank test says, in words. */
export interface Verdict {
  readonly title: string;
  readonly detail: string;
}

/** Puts the test's result into words. @param names of the two sets */
export function verdictOf({ test, a, b }: Comparison, [nameA, nameB]: readonly [string, string]): Verdict {
  const { verdict, shift_us, interval_us, effect, p } = test;
  if (verdict === "too few") {
    return {
      title: "Too few to tell",
      detail: `${nameA} has ${a.count}, ${nameB} ${b.count}. Choose a longer period or fewer conditions.`,
    };
  }
  const [low, high] = [Math.min(...interval_us), Math.max(...interval_us)];
  const chance = `In ${Math.round(effect * 100)} of 100 pairs the one of ${nameB} is slower (50: no difference); ${probability(p)}.`;
  if (verdict === "no difference") {
    return {
      title: "No difference that can be told from chance",
      detail: `The shift is between ${signed(low)} and ${signed(high)} (95 %). ${chance}`,
    };
  }
  const [least, most] = verdict === "slower" ? [low, high] : [-high, -low];
  return {
    title: `${nameB} is ${verdict}, by ${duration(Math.abs(shift_us))}`,
    detail: `Between ${duration(least)} and ${duration(most)} (95 %). ${chance}`,
  };
}

function signed(us: number): string {
  return us > 0 ? `+${duration(us)}` : duration(us);
}
