export interface Place {
  /** For people. */
  readonly name: string;
  /** Degrees, north and east positive. */
  readonly latitude: number;
  readonly longitude: number;
  /** Without `any`. */
  readonly groups: readonly Group[];
}

export type Group = "us" | "na" | "sa" | "eu" | "af" | "apac";

const US: readonly Group[] = ["us", "na"];
const NA: readonly Group[] = ["na"];
const SA: readonly Group[] = ["sa"];
const EU: readonly Group[] = ["eu"];
const AF: readonly Group[] = ["af"];
const APAC: readonly Group[] = ["apac"];

/** The region codes of Fly Machines, which are airports. */
export const PLACES: ReadonlyMap<string, Place> = new Map<string, Place>([
  at("ams", "Amsterdam, Netherlands", 52.31, 4.76, EU),
  at("arn", "Stockholm, Sweden", 59.65, 17.92, EU),
  at("atl", "Atlanta, Georgia (US)", 33.64, -84.43, US),
  at("bog", "Bogotá, Colombia", 4.7, -74.15, SA),
  at("bom", "Mumbai, India", 19.09, 72.87, APAC),
  at("bos", "Boston, Massachusetts (US)", 42.36, -71.01, US),
  at("cdg", "Paris, France", 49.01, 2.55, EU),
  at("den", "Denver, Colorado (US)", 39.86, -104.67, US),
  at("dfw", "Dallas, Texas (US)", 32.9, -97.04, US),
  at("ewr", "Secaucus, New Jersey (US)", 40.69, -74.17, US),
  at("eze", "Ezeiza, Argentina", -34.82, -58.54, SA),
  at("fra", "Frankfurt, Germany", 50.03, 8.57, EU),
  at("gdl", "Guadalajara, Mexico", 20.52, -103.31, NA),
  at("gig", "Rio de Janeiro, Brazil", -22.81, -43.25, SA),
  at("gru", "São Paulo, Brazil", -23.43, -46.47, SA),
  at("hkg", "Hong Kong, Hong Kong", 22.31, 113.91, APAC),
  at("iad", "Ashburn, Virginia (US)", 38.94, -77.46, US),
  at("jnb", "Johannesburg, South Africa", -26.14, 28.25, AF),
  at("lax", "Los Angeles, California (US)", 33.94, -118.41, US),
  at("lhr", "London, United Kingdom", 51.47, -0.46, EU),
  at("mad", "Madrid, Spain", 40.47, -3.56, EU),
  at("mia", "Miami, Florida (US)", 25.79, -80.29, US),
  at("nrt", "Tokyo, Japan", 35.76, 140.39, APAC),
  at("ord", "Chicago, Illinois (US)", 41.98, -87.9, US),
  at("otp", "Bucharest, Romania", 44.57, 26.1, EU),
  at("phx", "Phoenix, Arizona (US)", 33.43, -112.01, US),
  at("qro", "Querétaro, Mexico", 20.62, -100.19, NA),
  at("scl", "Santiago, Chile", -33.39, -70.79, SA),
  at("sea", "Seattle, Washington (US)", 47.45, -122.31, US),
  at("sin", "Singapore, Singapore", 1.36, 103.99, APAC),
  at("sjc", "San Jose, California (US)", 37.36, -121.93, US),
  at("syd", "Sydney, Australia", -33.95, 151.18, APAC),
  at("waw", "Warsaw, Poland", 52.17, 20.97, EU),
  at("yul", "Montreal, Canada", 45.47, -73.74, NA),
  at("yyz", "Toronto, Canada", 43.68, -79.63, NA),
]);

export const ALIASES: ReadonlyMap<string, Group | "any"> = new Map<string, Group | "any">([
  ["any", "any"],
  ["us", "us"],
  ["usa", "us"],
  ["na", "na"],
  ["sa", "sa"],
  ["eu", "eu"],
  ["af", "af"],
  ["apac", "apac"],
  ["ap", "apac"],
  ["asia", "apac"],
]);

const EARTH_RADIUS_KM = 6_371;

/** Returns the great-circle distance. */
export function distanceKm(a: Place, b: Place): number {
  const [lat1, lat2] = [radians(a.latitude), radians(b.latitude)];
  const halfLat = Math.sin((lat2 - lat1) / 2);
  const halfLong = Math.sin(radians(b.longitude - a.longitude) / 2);
  const chord = halfLat ** 2 + Math.cos(lat1) * Math.cos(lat2) * halfLong ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function at(
  code: string,
  name: string,
  latitude: number,
  longitude: number,
  groups: readonly Group[],
): [string, Place] {
  return [code, { name, latitude, longitude, groups }];
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
