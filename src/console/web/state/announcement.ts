import { signal } from "@preact/signals";

/** Text that screen readers say when something has changed. */
export const announcement = signal("");
