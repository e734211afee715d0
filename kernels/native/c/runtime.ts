/**
 * The C that a process loads once: products, threads and memory, with what JavaScript calls of it. Programs get its functions
 * from a call, so they need not be linked with it.
 */
import { CALL } from "./call.ts";
import { POOL } from "./pool.ts";
import { PRODUCTS } from "./product.ts";
import { HEADERS, VECTORS } from "./vectors.ts";

/** Instructions of x86 that not all processors have, by the macros of those that code may use. */
const FEATURES = {
  __SSE4A__: "sse4a",
  __FMA4__: "fma4",
  __XOP__: "xop",
  __FMA__: "fma",
  __BMI2__: "bmi2",
  __AVX2__: "avx2",
  __AVX512F__: "avx512f",
  __AVX512VL__: "avx512vl",
  __AVX512BW__: "avx512bw",
  __AVX512DQ__: "avx512dq",
};

/** What JavaScript calls. Devices and Programs are numbers, so that a call makes no object. */
const INTERFACE = `#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#define EXPORT __attribute__((visibility("default")))

static struct pool *pools[256];
static struct { const struct program *program; uint64_t table; void *object; } *programs;
static uint32_t pool_count, program_count;

/*
 * Keeps the shared object of an address loaded. Before a process ends its host unloads what it has loaded, while threads
 * wait in this code, or leave a call that they came late to.
 */
static void *hold(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? dlopen(info.dli_fname, RTLD_NOW) : NULL;
}

/* Address space of this many bytes, which takes memory only where it is written; NULL if there is none. */
EXPORT void *cellfold_reserve(double bytes) {
  void *const memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(memory, (size_t)bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

/* Gives the memory of whole pages back to the system; they are zero afterwards. */
EXPORT void cellfold_give_back(void *memory, double from, double bytes) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t first = ((uintptr_t)memory + (uintptr_t)from + page - 1) / page * page;
  const uintptr_t last = ((uintptr_t)memory + (uintptr_t)from + (uintptr_t)bytes) / page * page;
  if (first < last) madvise((void *)first, last - first, MADV_DONTNEED);
}

/* Bytes of memory that the machine has. */
EXPORT double cellfold_machine_bytes(void) { return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE); }

/* A device over this memory; -1 if there is no more. */
EXPORT int32_t cellfold_open(void *memory, uint32_t threads) {
  struct pool *pool = NULL;
  if (pool_count == 0) hold(pools);
  if (pool_count == sizeof pools / sizeof *pools || posix_memalign((void **)&pool, 64, sizeof *pool) != 0) return -1;
  memset(pool, 0, sizeof *pool);
  pool->memory = memory;
  pool->threads = threads;
  pool->started = 1;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->changed, NULL);
  pools[pool_count] = pool;
  return (int32_t)pool_count++;
}

/* A Program whose table lies at an address of the device's memory; -1 if there is no memory for it. */
EXPORT int32_t cellfold_load(const struct program *program, double table) {
  for (uint32_t i = 0; i < program_count; i++) {
    if (programs[i].program) continue;
    programs[i].program = program;
    programs[i].table = (uint64_t)table;
    programs[i].object = hold(program);
    return (int32_t)i;
  }
  void *const more = realloc(programs, (program_count + 64) * sizeof *programs);
  if (!more) return -1;
  programs = more;
  memset(programs + program_count, 0, 64 * sizeof *programs);
  program_count += 64;
  return cellfold_load(program, table);
}

/* Forgets a Program, once no thread is in it any more. */
EXPORT void cellfold_unload(uint32_t device, uint32_t program) {
  while (__atomic_load_n(&pools[device]->inside, __ATOMIC_SEQ_CST) > 0) PAUSE();
  programs[program].program = NULL;
  if (programs[program].object) dlclose(programs[program].object);
}

/* Runs a Program; returns how many threads there are. */
EXPORT uint32_t cellfold_run(uint32_t device, uint32_t program, uint32_t active) {
  struct pool *const pool = pools[device];
  run(pool, programs[program].program, (const int32_t *)(pool->memory + programs[program].table), active);
  return (uint32_t)pool->started;
}

/* Packs an operand: addresses in the device's memory, strides in bytes. */
EXPORT void cellfold_pack(uint32_t device, double source, double destination, double k, double n, double stride_k,
                          double stride_n) {
  char *const memory = pools[device]->memory;
  pack((const float *)(memory + (uint64_t)source), (float *)(memory + (uint64_t)destination), (int64_t)k, (int64_t)n,
       (int64_t)stride_k / 4, (int64_t)stride_n / 4);
}

/* Whether this processor has the instructions that the compiler was allowed to use. */
EXPORT uint32_t cellfold_is_supported(void) {
  uint32_t is_supported = 1;
${
  Object.entries(FEATURES).map(([macro, name]) =>
    `#ifdef ${macro}\n  is_supported &= __builtin_cpu_supports("${name}") != 0;\n#endif`
  ).join("\n")
}
  return is_supported;
}

/* Floats in a vector. */
EXPORT uint32_t cellfold_lanes(void) { return LANES; }
`;

/** The source of the runtime. */
export const RUNTIME = [
  `/* The runtime of Cellfold's native backend: products, threads and memory. */
#define _GNU_SOURCE
#include <stdlib.h>`,
  HEADERS,
  VECTORS,
  CALL,
  PRODUCTS,
  POOL,
  INTERFACE,
].join("\n");
