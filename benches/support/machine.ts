/** The machine of a run. */

/**
 * The standard output of a command; undefined if it fails. Deno may not read /proc without all permissions.
 */
async function outputOf(command: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined; // there is no such command
  }
}

/** The name of the processor, if the system provides it. */
async function processorName(): Promise<string> {
  const name = Deno.build.os === "linux"
    ? /^model name\s*:\s*(.+)$/m.exec(await outputOf("cat", "/proc/cpuinfo") ?? "")?.[1]
    : await outputOf("sysctl", "-n", "machdep.cpu.brand_string");
  return name ?? `a processor for ${Deno.build.arch}`;
}

/**
 * The machine, the date and the load as a line; call it before the first run, which would add to the load.
 */
export async function machineLine(): Promise<string> {
  const load = (await outputOf("cat", "/proc/loadavg"))?.split(" ")[0];
  return `${await processorName()}, ${navigator.hardwareConcurrency} cores, ${Deno.build.os}; ` +
    new Date().toISOString().slice(0, 10) + (load === undefined ? "" : `; load before the first run ${load}`);
}

/** The line with the WebGPU adapter. */
export async function adapterLine(): Promise<string> {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info
    ? `WebGPU on ${[info.description || info.device, info.vendor].filter(Boolean).join(", ")}`
    : "no adapter";
}
