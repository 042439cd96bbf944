const PATHS = {
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
  check: "m2 8 4 4 8-9",
  close: "m3 3 10 10M13 3 3 13",
  table: "M2 3h12v10H2zM2 6.5h12M2 10h12M6.5 3v10",
  chart: "M2 2v12h12M5 11V8M8 11V4M11 11V6",
  plus: "M8 2v12M2 8h12",
  down: "m4 6 4 4 4-4",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.5 1.5M11.5 11.5 13 13M13 3l-1.5 1.5M4.5 11.5 3 13",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5Z",
  half: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM8 2v12M8 5h4.5M8 8h6M8 11h4.5",
  terminal: "M2 3h12v10H2zM4.5 6l2 2-2 2M8 10.5h3.5",
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  pause: "M5 3v10M11 3v10",
  play: "m4 3 9 5-9 5z",
  zoom: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.5 10.5 14 14",
  reload: "M13 8a5 5 0 1 1-1.6-3.6M13 2v3h-3",
  compare: "M5 2v12M2 5l3-3 3 3M11 14V2M8 11l3 3 3-3",
} as const;

export type IconName = keyof typeof PATHS;

/** An icon beside a text, or in a button that has a label. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
