/** A table to begin with, made up by a generator with a fixed key: nobody counted these visitors. */
import * as cf from "@cellfold/cellfold";

/** Visitors by day of the week, from Monday; closed early on Mondays, full on Saturdays. */
const WEEK = [-70, -25, -15, 0, 25, 95, 60];

/** Two years of a museum's days: a trend, the year, the week, the weather of the day, and chance. */
export function exampleTable(days = 730): string {
  const [visitKey, weatherKey] = cf.splitKey(cf.key(7), 2);
  const chance = cf.host(cf.normal(visitKey, [days])).data;
  const weather = cf.host(cf.normal(weatherKey, [days])).data;
  const start = Date.UTC(2023, 0, 2); // a Monday
  let front = 0;
  const lines = Array.from({ length: days }, (_, day) => {
    front = 0.8 * front + 1.8 * weather[day]; // warm and cold days come in a row
    const summer = -Math.cos(2 * Math.PI * (day - 15) / 365.25);
    const temperature = 11 + 9 * summer + front;
    const visitors = 240 + 0.12 * day + 45 * summer + WEEK[day % 7] + 4 * front + 12 * chance[day];
    const date = new Date(start + day * 86_400_000).toISOString().slice(0, 10);
    return `${date},${Math.round(visitors)},${temperature.toFixed(1)}`;
  });
  return ["date,visitors,temperature", ...lines].join("\n") + "\n";
}
