/** The best shell that an image has. */
export const SHELL = [
  "/bin/sh",
  "-c",
  "for s in bash ash sh; do command -v $s >/dev/null 2>&1 && exec $s -l; done; exec /bin/sh",
];
