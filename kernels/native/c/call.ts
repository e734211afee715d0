/** What the C of a Program and the runtime have in common: a call, and the functions that the runtime offers. */
export const CALL =
  `/* A left operand A of a product A' B with many terms: element (term, row) lies at a[term * step + row]. */
struct left {
  const float *a;
  int64_t step, rows;
  float *out;
  int64_t stride_out;
};
struct call;
/* The functions of the runtime; its source says what each does. */
struct functions {
  void (*pack)(const float *b, float *packed, int64_t k, int64_t n, int64_t stride_k, int64_t stride_n);
  void (*product)(const float *a, int64_t stride_row, int64_t stride_k, const float *packed, float *out,
                  int64_t stride_out, int64_t m, int64_t n, int64_t k, const float *added, int64_t stride_added);
  void (*long_product)(const struct left *lefts, int64_t count, const float *b, int64_t stride_b, int64_t terms,
                       int64_t n, float *space);
  int64_t (*claim)(struct call *c, int64_t shares);
  void (*finish)(struct call *c, int64_t shares);
};
/* One thread's part in a call of a Program. */
struct call {
  const struct functions *use;
  char *memory;
  const int32_t *table;
  int64_t share;
  struct pool *pool;
  int64_t thread, threads;
  uint32_t phase;
};
/* A Program: all of its kernels on one thread, and on several. */
struct program {
  void (*alone)(struct call *c);
  void (*together)(struct call *c);
};
`;
