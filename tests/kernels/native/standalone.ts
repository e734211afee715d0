/**
 * Programs as a C program of their own, for compilers, processors and checks that the running process does not have: a `main`
 * fills memory as an executable would, calls each Program on one thread and on more, and prints the bits of the outputs.
 */
import { reference } from "../../../kernels/reference/mod.ts";
import { placeBuffers } from "../../../kernels/lowering/arena.ts";
import type { Buffer } from "../../../kernels/lowering/views.ts";
import { cpuFunctions } from "../../../kernels/cpu/kernels.ts";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { Slots } from "../../../kernels/cpu/slots.ts";
import { CALL } from "../../../kernels/native/c/call.ts";
import { RUNTIME } from "../../../kernels/native/c/runtime.ts";
import { FLAGS, LIBRARIES } from "../../../kernels/native/compiler.ts";
import { emitProgram } from "../../../kernels/native/emit/program.ts";
import { nativeTarget } from "../../../kernels/native/kinds.ts";
import { sizeOf } from "../../../kernels/shapes.ts";
import type { Program } from "../../../src/program/types.ts";
import { host, type HostTensor, trace } from "../../../mod.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import { compare, inputsOf } from "../agree.ts";
import { agreementCases } from "../agreement.ts";
import type { AgreementCase } from "../agreement_case.ts";

const TABLE = 64, WORDS = 4096, UNIT = 64;

/** A Program with inputs, and what the reference computes of them. */
interface Trial {
  readonly name: string;
  readonly program: Program;
  readonly inputs: readonly HostTensor[];
  readonly expected: readonly HostTensor[];
}

/** What is run, and how. */
export interface Runs {
  /** The Programs; default: {@linkcode someCases}. */
  readonly cases?: readonly AgreementCase[];
  /** The most threads, and in how many shares work is divided; default: 2. */
  readonly threads?: number;
  /** How often each Program is called on each number of threads; default: once. */
  readonly calls?: number;
  /** The source of the runtime; default: the one that devices load. */
  readonly runtime?: string;
}

/** A few cases of every kind of kernel. */
export const someCases: readonly AgreementCase[] = agreementCases.filter(({ name }, index) =>
  index % 8 === 0 || name.includes("halves")
);

async function trialOf(one: AgreementCase, index: number): Promise<Trial> {
  const inputs = inputsOf(one, index + 1);
  const program = runPasses(trace(one.fn as (...args: never[]) => unknown, ...inputs).program);
  using compiled = await reference.compile(program, {
    donate: inputs.map(() => false),
    keep: program.outputs.map(() => false),
  });
  return { name: one.name, program, inputs, expected: (await compiled.run(inputs)).map(host) };
}

/** A trial as C: the Program's source, and what `main` needs to run it. */
interface Written {
  readonly source: string;
  /** Rows of `{address, bytes}` of buffers, and of `{address, count, words}` of what is written before a call. */
  readonly buffers: readonly string[];
  readonly words: readonly { readonly address: number; readonly data: Uint32Array }[];
  readonly outputs: readonly { readonly address: number; readonly size: number }[];
  readonly bytes: number;
}

function bitsOf({ data, dtype }: HostTensor): Uint32Array {
  return dtype === "float32"
    ? new Uint32Array(Float32Array.from(data).buffer)
    : Uint32Array.from(data, (x) => x >>> 0);
}

function write({ program, inputs }: Trial, threads: number): Written {
  const sharing = { target: nativeTarget, shareFrom: 0 };
  const { kernels } = lowerForCpu(program, { threads, ...sharing });
  const slots = new Slots(TABLE, WORDS, UNIT);
  const { source } = emitProgram(kernels, program, { slots, threads, shareFrom: 0 });
  // Every buffer has a place of its own, so that what is written beside it is found.
  const forever = { first: 0, last: kernels.length };
  const inner = new Set(
    kernels.flatMap(cpuFunctions.buffersOf).filter(({ storage: { kind } }) =>
      kind === "arena" || kind === "constant"
    ),
  );
  const { offsets } = placeBuffers(new Map([...inner].map((buffer) => [buffer, forever])));
  let end = TABLE + WORDS * 4;
  const place = (bytes: number): number => {
    const address = Math.ceil(end / UNIT) * UNIT;
    end = address + bytes + 2 * UNIT; // with room between that belongs to none
    return address;
  };
  const addresses = new Map<Buffer, number>();
  const buffers: string[] = [`{${TABLE}, ${WORDS * 4}}`];
  const words: { address: number; data: Uint32Array }[] = [];
  for (const buffer of offsets.keys()) {
    const bytes = Number(buffer.size) * 4, address = place(bytes);
    addresses.set(buffer, address);
    buffers.push(`{${address}, ${bytes}}`);
    const { storage } = buffer;
    if (storage.kind !== "constant") continue;
    const value = typeof storage.value === "function" ? storage.value({}) : storage.value;
    words.push({ address, data: bitsOf(value) });
  }
  const table = slots.fill({ bindings: {}, addressOf: (buffer) => addresses.get(buffer) ?? 0 });
  const set = (key: string, address: number) => {
    const index = slots.indexOf(key);
    if (index !== undefined) table[index] = address / UNIT;
  };
  inputs.forEach((input, index) => {
    const data = bitsOf(input), address = place(data.length * 4);
    buffers.push(`{${address}, ${data.length * 4}}`);
    words.push({ address, data });
    set(`input ${index}`, address);
  });
  const outputs = program.outputs.map(({ shape }, index) => {
    const size = Number(sizeOf(shape)), address = place(size * 4);
    buffers.push(`{${address}, ${size * 4}}`);
    set(`output ${index}`, address);
    return { address, size };
  });
  words.unshift({ address: TABLE, data: new Uint32Array(table.buffer) });
  return { source, buffers, words, outputs, bytes: end };
}

/** Runs the trials. Before each call the table is written anew, as executables do; before some, threads fall asleep. */
const main = (threads: number, calls: number) =>
  `#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif
void *cellfold_reserve(double bytes);
double cellfold_open(void *memory, double bytes, uint32_t threads);
double cellfold_load(double device, const struct program *program, double table);
uint32_t cellfold_run(double program, uint32_t active);
void cellfold_unload(double program);
struct region { size_t address, bytes; };
struct words { size_t address, count; const uint32_t *words; };
static void run_trial(const struct program *program, const struct region *buffers, size_t buffer_count,
                      const struct words *words, size_t words_count, const struct region *outputs, size_t output_count,
                      size_t bytes) {
  for (uint32_t threads = 1; threads <= ${threads}; threads++) {
    char *const memory = cellfold_reserve((double)bytes);
    memset(memory, 0xff, bytes);
    for (size_t i = 0; i < words_count; i++) memcpy(memory + words[i].address, words[i].words, words[i].count * 4);
    ASAN_POISON_MEMORY_REGION(memory, bytes);
    for (size_t i = 0; i < buffer_count; i++) ASAN_UNPOISON_MEMORY_REGION(memory + buffers[i].address, buffers[i].bytes);
    const double device = cellfold_open(memory, (double)bytes, ${threads});
    const double loaded = cellfold_load(device, program, ${TABLE});
    for (int call = 0; call < ${calls}; call++) {
      memcpy(memory + words[0].address, words[0].words, words[0].count * 4);
      if (call % 8 == 7) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
      cellfold_run(loaded, threads);
    }
    for (size_t i = 0; i < output_count; i++) {
      for (size_t at = 0; at < outputs[i].bytes; at += 4) {
        uint32_t bits;
        memcpy(&bits, memory + outputs[i].address + at, 4);
        printf("%08x", bits);
      }
      printf("\\n");
    }
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    if (threads % 2 == 1) cellfold_unload(loaded); /* all else ends with the thread */
  }
}
`;

/** Devices end with the thread that opened them, so that a search for leaks finds none. */
const MAIN = `#include <pthread.h>
int main(void) {
  pthread_t thread;
  return pthread_create(&thread, NULL, trials, NULL) != 0 || pthread_join(thread, NULL) != 0;
}`;

/** How the C is compiled and run. */
export interface Toolchain {
  readonly compiler: string;
  readonly flags: readonly string[];
  /** What runs the result; default: this machine. */
  readonly emulator?: readonly string[];
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${command} fails:\n${text.decode(stderr).slice(0, 4000)}`);
  return text.decode(stdout);
}

/** Whether the commands of a toolchain are there. */
export async function isThere({ compiler, emulator = [] }: Toolchain): Promise<boolean> {
  for (const command of [compiler, ...emulator.slice(0, 1)]) {
    try {
      await run(command, ["--version"]);
    } catch {
      return false;
    }
  }
  return true;
}

/** Compiles the cases, runs them, and fails where an output is not what the reference computes. */
export async function holdStandalone(
  { compiler, flags, emulator = [] }: Toolchain,
  { cases = someCases, threads = 2, calls = 1, runtime = RUNTIME }: Runs = {},
): Promise<void> {
  const trials = await Promise.all(cases.map((one, index) => trialOf(one, index)));
  const written = trials.map((trial) => write(trial, threads));
  const folder = await Deno.makeTempDir();
  try {
    const files = written.map(({ source }, index) => ({ name: `program_${index}`, source }));
    const program = [
      "#define _GNU_SOURCE\n#include <stdint.h>\n#include <string.h>",
      CALL,
      main(threads, calls),
      ...written.map(({ buffers, words, outputs, bytes }, index) =>
        [
          `const struct program *program_${index}(void);`,
          `static void trial_${index}(void) {`,
          ...words.map(({ data }, at) =>
            `  static const uint32_t words_${at}[] = {${[...data, 0].join("u, ")}u};`
          ),
          `  static const struct words words[] = {${
            words.map(({ address, data }, at) => `{${address}, ${data.length}, words_${at}}`)
          }};`,
          `  static const struct region buffers[] = {${buffers}};`,
          `  static const struct region outputs[] = {${
            outputs.map(({ address, size }) => `{${address}, ${size * 4}}`)
          }};`,
          `  run_trial(program_${index}(), buffers, ${buffers.length}, words, ${words.length}, outputs, ` +
          `${outputs.length}, ${bytes});`,
          "}",
        ].join("\n")
      ),
      `static void *trials(void *unused) {\n${
        written.map((_, index) => `  trial_${index}();`).join("\n")
      }\n  return unused;\n}`,
      MAIN,
    ].join("\n");
    const shared = [...FLAGS.filter((flag) => flag !== "-shared"), ...flags, "-Werror"];
    const objects: string[] = [];
    for (
      const { name, source } of [...files, { name: "runtime", source: runtime }, {
        name: "main",
        source: program,
      }]
    ) {
      const path = `${folder}/${name}`;
      await Deno.writeTextFile(`${path}.c`, source);
      await run(compiler, [...shared, `-Dcellfold_program=${name}`, "-c", `${path}.c`, "-o", `${path}.o`]);
      objects.push(`${path}.o`);
    }
    await run(compiler, [...flags, ...objects, "-o", `${folder}/main`, ...LIBRARIES]);
    const [command, ...args] = [...emulator, `${folder}/main`];
    const lines = (await run(command, args)).trimEnd().split("\n");
    for (const { name, expected } of trials) {
      for (let active = 1; active <= threads; active++) {
        expected.forEach((tensor, output) => {
          const hex = lines.shift() ?? "";
          const bits = Uint32Array.from(
            { length: hex.length / 8 },
            (_, at) => parseInt(hex.slice(8 * at, 8 * at + 8), 16),
          );
          const data = tensor.dtype === "float32"
            ? new Float32Array(bits.buffer)
            : tensor.dtype === "bool"
            ? Uint8Array.from(bits)
            : new Int32Array(bits.buffer);
          try {
            compare({ ...tensor, data } as HostTensor, tensor, output);
          } catch (cause) {
            throw new Error(
              `${name} on ${active} threads: ${cause instanceof Error ? cause.message : cause}`,
              { cause },
            );
          }
        });
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
