/** What the C of a Program and the runtime have in common: a call, and the functions that the runtime offers. */
export const CALL =
  `/* Rows of a left operand, of \`terms\` floats each, which lie apart: the first is at \`from\`. Axes from the outermost; those
   that are missing have one element. */
struct windows {
  const float *from;
  int64_t row_sizes[4], row_strides[4], term_sizes[4], term_strides[4], terms;
};
/* A left operand A of a product A' B with many terms: element (term, row) lies at a[term * step + row]. */
struct left {
  const float *a;
  int64_t step, rows;
  float *out;
  int64_t stride_out;
  /* If A is laid out a few terms at a time: from where, from which term on, and to where. */
  const struct windows *windows;
  int64_t begin;
  float *rows_laid_out;
};
struct call;
/* The functions of the runtime; its source says what each does. */
struct functions {
  void (*pack)(const float *b, float *packed, int64_t k, int64_t n, int64_t stride_k, int64_t stride_n);
  void (*product)(const float *a, int64_t stride_row, int64_t stride_k, const float *packed, float *out,
                  int64_t stride_out, int64_t m, int64_t n, int64_t k, const float *added, int64_t stride_added);
  void (*long_product)(const struct left *lefts, int64_t count, const float *b, int64_t stride_b, int64_t terms,
                       int64_t n, float *space);
  void (*lay_out)(const struct windows *w, int64_t first, int64_t count, float *to);
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
