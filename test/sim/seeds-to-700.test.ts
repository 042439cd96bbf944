import { testSeeds } from "./seeds.ts";

testSeeds(351, 350);
