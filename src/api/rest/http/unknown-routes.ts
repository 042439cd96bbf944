/** Methods of each path, with parameters as `:app`. */
export type Known = ReadonlyMap<string, ReadonlySet<string>>;

/** Returns the methods of a path; none when it is unknown. */
export function allowedMethods(path: string, known: Known): readonly string[] {
  const parts = partsOf(path);
  const methods = new Set<string>();
  for (const [pattern, each] of known) {
    if (matches(partsOf(pattern), parts)) for (const method of each) methods.add(method);
  }
  if (methods.has("GET")) methods.add("HEAD");
  if (methods.size > 0) methods.add("OPTIONS");
  return [...methods].sort();
}

function partsOf(path: string): readonly string[] {
  return path.replace(/\/$/, "").split("/");
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length && pattern.every((part, i) => part.startsWith(":") || part === parts[i])
  );
}
