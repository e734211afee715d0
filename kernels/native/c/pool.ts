/**
 * The threads of a device in C. A call is a sequence of phases, each with a number of shares of work. The shares, and with
 * them the order of additions, are fixed; which thread computes a share is not: a thread claims its own first, and another's
 * once that has waited for a while, so that no call waits for a thread that the machine has no processor for. A phase ends
 * when all its shares are computed. Threads spin for a moment between phases and calls, then sleep. They end with the
 * process, or with the thread that opened their device.
 */
export const POOL = `#include <pthread.h>
#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

/* How often a thread looks before it takes over another's share, and before it sleeps: some 20 and 100 microseconds. */
enum { MOST_THREADS = 32, LOOKS_BEFORE_HELPING = 600, LOOKS = 3000 };

struct pool {
  /* The number of the phase, and a bit for each of its shares that is claimed. */
  uint64_t ticket __attribute__((aligned(64)));
  int64_t done __attribute__((aligned(64)));
  /* The call that is running: its number, Program and table; and how many threads are inside any. */
  uint32_t call __attribute__((aligned(64)));
  int32_t inside, sleepers;
  const struct program *program;
  const int32_t *table;
  uint32_t first_phase;
  int64_t active;
  int64_t threads, started;
  pthread_t workers[MOST_THREADS];
  int32_t has_ended;
  char *memory;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
};

static void wake(struct pool *pool) {
  if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->changed);
  pthread_mutex_unlock(&pool->mutex);
}

/* A share that now belongs to this thread; -1 once the phase is over. */
static int64_t claim(struct call *c, int64_t shares) {
  struct pool *const pool = c->pool;
  const uint32_t all = shares >= 32 ? 0xffffffffu : (1u << shares) - 1;
  uint32_t mine = 0;
  for (int64_t share = c->thread; share < 32; share += c->threads) mine |= 1u << share;
  for (int looks = 0;; looks++) {
    const uint64_t ticket = __atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE);
    if ((uint32_t)(ticket >> 32) != c->phase) {
      c->phase++;
      return -1;
    }
    const uint32_t unclaimed = all & ~(uint32_t)ticket;
    const uint32_t wanted = unclaimed & (looks < LOOKS_BEFORE_HELPING ? mine : all);
    if (wanted) {
      const uint32_t bit = wanted & -wanted;
      uint64_t expected = ticket;
      if (__atomic_compare_exchange_n(&pool->ticket, &expected, ticket | bit, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return __builtin_ctz(bit);
      continue;
    }
    if (looks < LOOKS) {
      PAUSE();
      continue;
    }
    pthread_mutex_lock(&pool->mutex);
    __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
    while ((uint32_t)(__atomic_load_n(&pool->ticket, __ATOMIC_SEQ_CST) >> 32) == c->phase)
      pthread_cond_wait(&pool->changed, &pool->mutex);
    __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool->mutex);
  }
}

/* Counts a computed share; the last one begins the next phase. */
static void finish(struct call *c, int64_t shares) {
  struct pool *const pool = c->pool;
  if (__atomic_add_fetch(&pool->done, 1, __ATOMIC_ACQ_REL) != shares) return;
  __atomic_store_n(&pool->done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool->ticket, (uint64_t)(c->phase + 1) << 32, __ATOMIC_SEQ_CST);
  wake(pool);
}

static const struct functions functions = {pack, product, long_product, lay_out, claim, finish};

struct worker {
  struct pool *pool;
  int64_t thread;
};

/* What a thread does: its part of every call that it takes part in. */
static void *work(void *argument) {
  const struct worker worker = *(struct worker *)argument;
  struct pool *const pool = worker.pool;
  free(argument);
  uint32_t seen = 0;
  for (;;) {
    for (int looks = 0; __atomic_load_n(&pool->call, __ATOMIC_ACQUIRE) == seen; looks++) {
      if (looks < LOOKS) {
        PAUSE();
        continue;
      }
      pthread_mutex_lock(&pool->mutex);
      __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&pool->call, __ATOMIC_SEQ_CST) == seen)
        pthread_cond_wait(&pool->changed, &pool->mutex);
      __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
      pthread_mutex_unlock(&pool->mutex);
    }
    /* An odd number is a call that may be entered. What belongs to it is copied, and counts if it is still the same
       call. A thread that is late for it finds nothing to claim, whatever the next call has written meanwhile. */
    __atomic_add_fetch(&pool->inside, 1, __ATOMIC_SEQ_CST);
    seen = __atomic_load_n(&pool->call, __ATOMIC_SEQ_CST);
    /* Looked at after the number is read: before, a late thread would miss the end and wait for a call that never comes. */
    if (__atomic_load_n(&pool->has_ended, __ATOMIC_SEQ_CST)) return NULL;
    const struct program *const program = __atomic_load_n(&pool->program, __ATOMIC_RELAXED);
    struct call c = {.use = &functions, .memory = pool->memory, .pool = pool, .thread = worker.thread};
    c.table = __atomic_load_n(&pool->table, __ATOMIC_RELAXED);
    c.threads = __atomic_load_n(&pool->active, __ATOMIC_RELAXED);
    c.phase = __atomic_load_n(&pool->first_phase, __ATOMIC_RELAXED);
    if (seen % 2 == 1 && __atomic_load_n(&pool->call, __ATOMIC_SEQ_CST) == seen && c.thread < c.threads)
      program->together(&c);
    __atomic_sub_fetch(&pool->inside, 1, __ATOMIC_SEQ_CST);
  }
}

/* Starts the threads that a device lacks; fewer if the system gives no more, as shares do not depend on it. */
static void start_threads(struct pool *pool) {
  while (pool->started < pool->threads) {
    struct worker *const worker = malloc(sizeof *worker);
    if (!worker) return;
    *worker = (struct worker){pool, pool->started};
    if (pthread_create(&pool->workers[pool->started], NULL, work, worker) != 0) {
      free(worker);
      pool->threads = pool->started;
      return;
    }
    pool->started++;
  }
}

/* Ends the threads of a device between two calls. */
static void end_threads(struct pool *pool) {
  __atomic_store_n(&pool->has_ended, 1, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&pool->call, 2, __ATOMIC_SEQ_CST);
  wake(pool);
  for (int64_t thread = 1; thread < pool->started; thread++) pthread_join(pool->workers[thread], NULL);
}

/* Runs a Program on so many threads, the calling one included. */
static void run(struct pool *pool, const struct program *program, const int32_t *table, int64_t active) {
  struct call c = {.use = &functions, .memory = pool->memory, .table = table, .pool = pool, .threads = active};
  if (active > 1) {
    start_threads(pool);
    /* Relaxed suffices: phases begin only in calls. Late threads may still try in vain to claim a share, though. */
    c.phase = (uint32_t)(__atomic_load_n(&pool->ticket, __ATOMIC_RELAXED) >> 32);
    __atomic_store_n(&pool->program, program, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->table, table, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->active, active, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->first_phase, c.phase, __ATOMIC_RELAXED);
    __atomic_add_fetch(&pool->call, 1, __ATOMIC_SEQ_CST);
    wake(pool);
    program->together(&c);
    __atomic_add_fetch(&pool->call, 1, __ATOMIC_SEQ_CST);
  } else {
    program->alone(&c);
  }
}
`;
