/**
 * Finds what is kept for a repository under the name of its registry (`registry.example`), perhaps with a path
 * (`registry.example/team`): the longest name that fits counts.
 */
export function findFor<T>(
  entries: readonly (readonly [name: string, value: T])[],
  registry: string,
  repository: string,
): T | undefined {
  const parts = [registry.toLowerCase(), ...repository.split("/")];
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join("/");
    const found = entries.find(([key]) => key === name);
    if (found) return found[1];
  }
  return undefined;
}

/** Whether a repository is `name`, or below it. */
export function isWithin(name: string, registry: string, repository: string): boolean {
  return findFor([[name, true]], registry, repository) ?? false;
}

/** Normalises the name of a registry. Docker writes `https://index.docker.io/v1/` for Docker Hub, and wrote URLs for all. */
export function normaliseName(name: string): string {
  const [host = "", ...path] = name
    .replace(/^https?:\/\//i, "")
    .replace(/\/(?:v[12]\/?)?$/, "")
    .split("/");
  const lower = host.toLowerCase();
  const isHub = lower === "index.docker.io" || lower === "registry-1.docker.io";
  return [isHub ? "docker.io" : lower, ...path].join("/");
}
