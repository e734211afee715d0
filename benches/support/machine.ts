/** What a run was made on. */

/** The processor by name, where the system tells it. */
export async function processorName(): Promise<string> {
  const info = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const name = /^model name\s*:\s*(.+)$/m.exec(info)?.[1];
  return name ?? `${Deno.build.arch} processor`;
}

/** How busy the machine is besides: the load of the last minute, where the system tells it. */
export async function load(): Promise<number | undefined> {
  const text = await Deno.readTextFile("/proc/loadavg").catch(() => undefined);
  return text === undefined ? undefined : Number(text.split(" ")[0]);
}

/** The lines above a table: machine, date and versions. */
export async function headingOf(versions: ReadonlyMap<string, string>, runs: number): Promise<string[]> {
  const busy = await load();
  const cores = navigator.hardwareConcurrency;
  return [
    `${await processorName()}, ${cores} cores, ${Deno.build.os}; ${new Date().toISOString().slice(0, 10)}` +
    (busy === undefined ? "" : `; load before the first run ${busy}`),
    [...versions].map(([name, version]) => `${name} ${version}`).join(", "),
    `Medians of ${runs} runs that take turns; a peer with the better of 1 and 2 threads`,
  ];
}
