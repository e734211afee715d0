/**
 * The C that a process loads once: products, threads and memory, with what JavaScript calls of it. Programs get its functions
 * from a call, so they need not be linked with it.
 */
import { CALL } from "./call.ts";
import { POOL } from "./pool.ts";
import { LONG_PRODUCTS } from "./long_product.ts";
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

/**
 * What JavaScript calls. Devices and Programs are addresses as numbers, so that a call makes no object. No table has them:
 * the workers of a process share this code, and each calls it whenever it likes.
 */
const INTERFACE = `#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#define EXPORT __attribute__((visibility("default")))

/* A device: its threads, its memory, its Programs, and the next device that its thread opened. */
struct device {
  struct pool pool;
  double bytes;
  struct loaded *programs;
  struct device *next;
};

/* A Program on a device: where its table lies in the device's memory, and its shared object. */
struct loaded {
  struct device *device;
  const struct program *program;
  uint64_t table;
  void *object;
  struct loaded *next, **link;
};

static void *at(double address) { return (void *)(uintptr_t)address; }
static double address_of(const void *object) { return (double)(uintptr_t)object; }

/*
 * Keeps the shared object of an address loaded. Before a process ends its host unloads what it has loaded, while threads
 * wait in this code, or leave a call that they came late to.
 */
static void *hold(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? dlopen(info.dli_fname, RTLD_NOW) : NULL;
}

/* Forgets a Program that no thread is in. */
static void forget(struct loaded *loaded) {
  *loaded->link = loaded->next;
  if (loaded->next) loaded->next->link = loaded->link;
  if (loaded->object) dlclose(loaded->object);
  free(loaded);
}

/*
 * The devices that a thread opened, whose code runs on it: they end with it, as nothing else ends those of a worker that is
 * terminated. The main thread ends only with the process.
 */
static pthread_key_t opened;
static int32_t has_key; /* not if the process has all the keys that there are: then devices stay */
static pthread_once_t is_key_made = PTHREAD_ONCE_INIT;

static void close_devices(void *first) {
  for (struct device *device = first, *next; device; device = next) {
    next = device->next;
    end_threads(&device->pool);
    while (device->programs) forget(device->programs);
    munmap(device->pool.memory, (size_t)device->bytes);
    pthread_cond_destroy(&device->pool.changed);
    pthread_mutex_destroy(&device->pool.mutex);
    free(device);
  }
}

static void make_key(void) { has_key = pthread_key_create(&opened, close_devices) == 0; }

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

/* A device over this memory of so many bytes; 0 if there is no more. */
EXPORT double cellfold_open(void *memory, double bytes, uint32_t threads) {
  struct device *device = NULL;
  if (posix_memalign((void **)&device, 64, sizeof *device) != 0) return 0;
  hold(&functions);
  memset(device, 0, sizeof *device);
  device->pool.memory = memory;
  device->pool.threads = threads;
  device->pool.started = 1;
  device->bytes = bytes;
  pthread_mutex_init(&device->pool.mutex, NULL);
  pthread_cond_init(&device->pool.changed, NULL);
  pthread_once(&is_key_made, make_key);
  if (has_key) {
    device->next = pthread_getspecific(opened);
    pthread_setspecific(opened, device);
  }
  return address_of(device);
}

/* A Program for a device, with a table at an address of its memory; 0 if there is no memory for it. */
EXPORT double cellfold_load(double device, const struct program *program, double table) {
  struct loaded *const loaded = malloc(sizeof *loaded);
  if (!loaded) return 0;
  struct loaded **const link = &((struct device *)at(device))->programs;
  *loaded = (struct loaded){at(device), program, (uint64_t)table, hold(program), *link, link};
  if (*link) (*link)->link = &loaded->next;
  *link = loaded;
  return address_of(loaded);
}

/* Forgets a Program, once no thread of its device is in it any more. */
EXPORT void cellfold_unload(double program) {
  struct loaded *const loaded = at(program);
  while (__atomic_load_n(&loaded->device->pool.inside, __ATOMIC_SEQ_CST) > 0) PAUSE();
  forget(loaded);
}

/* Runs a Program; returns how many threads there are. */
EXPORT uint32_t cellfold_run(double program, uint32_t active) {
  const struct loaded *const loaded = at(program);
  struct pool *const pool = &loaded->device->pool;
  run(pool, loaded->program, (const int32_t *)(pool->memory + loaded->table), active);
  return (uint32_t)pool->started;
}

/* Packs an operand: addresses in the device's memory, strides in bytes. */
EXPORT void cellfold_pack(double device, double source, double destination, double k, double n, double stride_k,
                          double stride_n) {
  char *const memory = ((struct device *)at(device))->pool.memory;
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
  LONG_PRODUCTS,
  POOL,
  INTERFACE,
].join("\n");
