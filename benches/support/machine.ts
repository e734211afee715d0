/** What a run was made on. */

/** The standard output of a command; undefined where it does not work. Deno may not read /proc without all permissions. */
async function outputOf(command: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined; // there is no such command
  }
}

/** The processor by name, where the system tells it. */
async function processorName(): Promise<string> {
  const name = Deno.build.os === "linux"
    ? /^model name\s*:\s*(.+)$/m.exec(await outputOf("cat", "/proc/cpuinfo") ?? "")?.[1]
    : await outputOf("sysctl", "-n", "machdep.cpu.brand_string");
  return name ?? `a processor for ${Deno.build.arch}`;
}

/** The line about the machine and the date, to be made before the first run: it tells the load without it. */
export async function machineLine(): Promise<string> {
  const load = (await outputOf("cat", "/proc/loadavg"))?.split(" ")[0];
  return `${await processorName()}, ${navigator.hardwareConcurrency} cores, ${Deno.build.os}; ` +
    new Date().toISOString().slice(0, 10) + (load === undefined ? "" : `; load before the first run ${load}`);
}

/** The line about the adapter of WebGPU. */
export async function adapterLine(): Promise<string> {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info
    ? `WebGPU on ${[info.description || info.device, info.vendor].filter(Boolean).join(", ")}`
    : "no adapter";
}
