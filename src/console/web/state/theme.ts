import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "windhover-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(dark.matches);
dark.addEventListener("change", () => {
  systemIsDark.value = dark.matches;
});

export const theme = signal<Theme>(stored());

/** Grows when colours have changed: what draws on a canvas draws anew. */
export const palette = signal(0);

effect(() => {
  const isDark = theme.value === "dark" || (theme.value === "system" && systemIsDark.value);
  document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
  palette.value = palette.peek() + 1;
});

export function switchTheme(): void {
  const order: Theme[] = ["system", "light", "dark"];
  const next = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
  theme.value = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // The browser keeps nothing: the choice counts until the page is left.
  }
}

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system";
  }
}
