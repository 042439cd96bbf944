/** Quantile of the normal distribution for an interval of 95 %. */
export const NORMAL_975 = 1.959963984540054;

/**
 * Probability that a standard normal value is above `z`, for z of at least 0. W. J. Cody's rational
 * approximations in the form of Numerical Recipes (erfc by Chebyshev coefficients), to a relative
 * error below 1.2e-7.
 */
export function normalTail(z: number): number {
  const x = z / Math.SQRT2;
  const t = 2 / (2 + x);
  let [d, dd] = [0, 0];
  for (let j = COEFFICIENTS.length - 1; j > 0; j--) {
    [d, dd] = [(4 * t - 2) * d - dd + (COEFFICIENTS[j] ?? 0), d];
  }
  return 0.5 * t * Math.exp(-x * x + 0.5 * ((COEFFICIENTS[0] ?? 0) + (4 * t - 2) * d) - dd);
}

/** Of Chebyshev polynomials for erfc; W. H. Press and others, Numerical Recipes, 3rd edition, 6.2.2. */
const COEFFICIENTS = [
  -1.3026537197817094, 0.6419697923564902, 1.9476473204185836e-2, -9.561514786808631e-3, -9.46595344482036e-4,
  3.66839497852761e-4, 4.2523324806907e-5, -2.0278578112534e-5, -1.624290004647e-6, 1.30365583558e-6,
  1.5626441722e-8, -8.5238095915e-8, 6.529054439e-9, 5.059343495e-9, -9.91364156e-10, -2.27365122e-10,
  9.6467911e-11, 2.394038e-12, -6.886027e-12, 8.94487e-13, 3.13092e-13, -1.12708e-13, 3.81e-16, 7.106e-15,
  -1.523e-15, -9.4e-17, 1.21e-16, -2.8e-17,
];
