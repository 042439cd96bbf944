/** Returns round durations between two, for a logarithmic axis: 1, 2, 5, 10, ... */
export function durationTicks(minUs: number, maxUs: number, limit: number): readonly number[] {
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const ticks: number[] = [];
    for (let decade = 10 ** Math.floor(Math.log10(Math.max(1, minUs))); decade <= maxUs; decade *= 10) {
      for (const step of steps)
        if (decade * step >= minUs && decade * step <= maxUs) ticks.push(decade * step);
    }
    if (ticks.length <= limit) return ticks;
  }
  return [minUs, maxUs];
}
