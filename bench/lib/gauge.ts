/** The sum of a metric over all its labels in Prometheus's text format; undefined when it is not there. */
export function gauge(text: string, name: string): number | undefined {
  const values = text
    .split("\n")
    .filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)))
    .map((line) =>
      Number(
        line
          .slice(line.lastIndexOf("}") + 1)
          .replace(name, "")
          .trim()
          .split(" ")[0],
      ),
    );
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}
