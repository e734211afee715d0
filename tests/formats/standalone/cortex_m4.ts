/** Programs for a Cortex-M4 that QEMU runs: what a machine without an operating system needs to begin and to speak. */
import { run, STRICT } from "./c_program.ts";

/** The flags of the compiler for this processor, with its unit for floats. */
export const CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"] as const;

/** The memory of the board `mps2-an386`, and where things lie in it. */
const LINKER_SCRIPT = `
ENTRY(start)
MEMORY {
  FLASH (rx) : ORIGIN = 0x00000000, LENGTH = 4M
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : { data_begin = .; *(.data*) . = ALIGN(4); data_end = .; } > RAM AT > FLASH
  data_source = LOADADDR(.data);
  .bss : { bss_begin = .; *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; } > RAM
}
`;

/** The first instructions, and semihosting: QEMU writes and ends the program where the processor stops for it. */
const START = `
#include <stdint.h>
extern uint32_t data_begin, data_end, data_source, bss_begin, bss_end;
int main(void);
static int ask(int what, const void *with) {
  register int r0 __asm__("r0") = what;
  register const void *r1 __asm__("r1") = with;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
void say(const char *text) { ask(0x04, text); }
void start(void) {
  *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; /* the unit for floats */
  __asm__ volatile("dsb; isb");
  uint32_t *from = &data_source;
  for (uint32_t *to = &data_begin; to < &data_end; ) *to++ = *from++;
  for (uint32_t *to = &bss_begin; to < &bss_end; ) *to++ = 0;
  main();
  ask(0x18, (void *)0x20026); /* ended as it should */
  for (;;) {}
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x20400000, (void *)start};
`;

/** Writes words as hexadecimal lines. */
export const WORDS = `
#include <stdint.h>
void say(const char *text);
static void say_words(const void *words, int count) {
  const uint32_t *at = words;
  for (int i = 0; i < count; i++) {
    char line[10];
    for (int digit = 0; digit < 8; digit++) line[digit] = "0123456789abcdef"[at[i] >> (28 - 4 * digit) & 15];
    line[8] = '\\n';
    line[9] = 0;
    say(line);
  }
}
`;

/** Compiles sources in a directory for the processor and links them; returns the path of the program. */
export async function buildForCortexM4(directory: string, sources: readonly string[]): Promise<string> {
  await Deno.writeTextFile(`${directory}/start.c`, START);
  await Deno.writeTextFile(`${directory}/board.ld`, LINKER_SCRIPT);
  const program = `${directory}/program.elf`;
  await run("arm-none-eabi-gcc", [
    ...CORTEX_M4,
    ...STRICT,
    "-O2",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    "-nostartfiles",
    "-T",
    `${directory}/board.ld`,
    "-o",
    program,
    `${directory}/start.c`,
    ...sources,
  ]);
  return program;
}

/** Runs a program, and returns the words that it says. */
export async function runOnCortexM4(program: string): Promise<Uint32Array> {
  const output = await run("qemu-system-arm", [
    ...["-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"],
    ...["-chardev", "stdio,id=said", "-semihosting-config", "enable=on,target=native,chardev=said"],
    ...["-kernel", program],
  ]);
  const lines = new TextDecoder().decode(output).trim().split("\n");
  return Uint32Array.from(lines, (line) => Number.parseInt(line, 16));
}

/** The bytes of the symbols of a program whose names match. */
export async function bytesOfSymbols(program: string, name: RegExp): Promise<number> {
  const output = await run("arm-none-eabi-nm", ["-S", program]);
  return new TextDecoder().decode(output).trim().split("\n").reduce((sum, line) => {
    const [, size, , symbol] = line.split(/\s+/);
    return symbol !== undefined && name.test(symbol) ? sum + Number.parseInt(size, 16) : sum;
  }, 0);
}
