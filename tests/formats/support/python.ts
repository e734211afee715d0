/** Tests beside Python's packages: run where CELLFOLD_PYTHON names a Python that has them, else reported as ignored. */

const permissions = ["read", "write", "env", "run"] as const;
const granted = permissions.every((name) => Deno.permissions.querySync({ name }).state === "granted");
const python = granted ? Deno.env.get("CELLFOLD_PYTHON") : undefined;

/** What a script is given: a folder of its own, and what runs Python there. */
export interface PythonFolder {
  /** Where a file of the folder is. */
  path(name: string): string;
  /** Runs a script in the folder; throws with what it wrote to its standard error where it fails. */
  run(script: string): Promise<string>;
}

/** A test that runs Python; its name says what it needs. */
export function testWithPython(
  name: string,
  packages: string,
  fn: (folder: PythonFolder) => Promise<void>,
): void {
  const needs = `CELLFOLD_PYTHON with ${packages}`;
  Deno.test({
    name: python
      ? name
      : `${name} (needs ${granted ? needs : `${needs}, --allow-${permissions.join(" --allow-")}`})`,
    ignore: !python,
    // The workers of a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      if (!python) return;
      const folder = await Deno.makeTempDir();
      try {
        await fn({
          path: (name) => `${folder}/${name}`,
          run: async (script) => {
            const { success, stdout, stderr } = await new Deno.Command(python, {
              args: ["-c", script],
              cwd: folder,
              env: { OMP_NUM_THREADS: "1", CUDA_VISIBLE_DEVICES: "" },
            }).output();
            if (!success) throw new Error(`Python fails:\n${new TextDecoder().decode(stderr)}`);
            return new TextDecoder().decode(stdout);
          },
        });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
