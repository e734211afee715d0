/**
 * Matrix products in C: packed right operands, tiles in registers, and sums in blocks where there are many terms. Those of
 * which both operands are packed are in `long_product.ts`.
 */

/** A packed operand is rounded up to so many columns, a multiple of the columns of a panel on every target. */
export const PANEL_COLUMNS = 32;

/**
 * Tiles per target: the panels side by side for each number of rows, and the terms that a turn of their loop adds. Two
 * where there are 32 registers; with 16, gcc moves sums to memory and back.
 */
export const PRODUCTS = `/* Products. A panel is two vectors of columns, one row after the other. */
#define PANEL (2 * LANES)
#define MOST_ROWS 6
#if defined(__AVX512F__) || defined(__aarch64__)
#define EACH_TILE(T) T(1, 4) T(2, 4) T(3, 2) T(4, 2) T(5, 2) T(6, 2)
#define PASS_FLOATS (1 << 16)
#define TERMS 2
#else
#define EACH_TILE(T) T(1, 4) T(2, 2) T(3, 2) T(4, 1) T(5, 1) T(6, 1)
#define PASS_FLOATS (1 << 15)
#define TERMS 1
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
/* Up to WHOLE terms are added one after another, and twice as many in halves; beyond it, BLOCK at a time, and PART of
   them before the rounding errors of sums are kept (Kahan, 1965). What is added in blocks is CHUNK rows by WIDE columns
   at a time. The right operand is passed over in pieces of PASS floats; if the left one has at most FEW floats, in
   pieces of as many, so that both stay in the first cache. */
enum { WHOLE = 256, BLOCK = 64, PART = 2048, CHUNK = 48, WIDE = 4 * PANEL };
enum { PASS = PASS_FLOATS, FEW = 6144 };

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* B[k][n] in panels of columns; those beyond n are zero. */
APART void pack(const float *b, float *packed, int64_t k, int64_t n, int64_t stride_k, int64_t stride_n) {
  if (stride_n == 1) {
    /* A few rows at a time, as whole rows of many are far apart. */
    for (int64_t first = 0; first < k; first += 8) {
      const int64_t last = least(k, first + 8);
      for (int64_t j = 0; j < n; j += LANES) {
        const lanes w = v_lanes(n - j);
        float *const to = packed + j / PANEL * PANEL * k + j % PANEL;
        for (int64_t p = first; p < last; p++) *(vf *)(to + p * PANEL) = v_load(b + p * stride_k + j, w);
      }
      if (n % PANEL > 0 && n % PANEL <= LANES)
        for (int64_t p = first; p < last; p++) *(vf *)(packed + n / PANEL * PANEL * k + p * PANEL + LANES) = (vf){0};
    }
    return;
  }
  for (int64_t j = 0; j < n; j += PANEL, packed += k * PANEL) {
    const int64_t columns = least(PANEL, n - j);
    const float *const from = b + j * stride_n;
    for (int64_t first = 0; first < k; first += 16) {
      const int64_t last = least(k, first + 16);
      for (int64_t q = 0; q < PANEL; q++)
        for (int64_t p = first; p < last; p++)
          packed[p * PANEL + q] = q < columns ? from[p * stride_k + q * stride_n] : 0;
    }
  }
}

/* Rows of A times panels of B, with all sums in registers: out = A B + added, for all columns of the panels. */
INLINE void tile(const int rows, const int panels, const float *a, int64_t stride_row, int64_t stride_k,
                 const float *packed, int64_t panel, float *out, int64_t stride_out, int64_t k, const float *added,
                 int64_t stride_added) {
  const int wide = 2 * panels;
  /* One loop over all sums, not one in the other: of one row, clang would keep them in memory. */
#define EACH_SUM UNROLL for (int i = 0; i < rows * wide; i++)
  vf s[MOST_ROWS * 8];
  EACH_SUM s[i] = (vf){0};
#define TERM                                                                                                        \\
  {                                                                                                                 \\
    vf y[8];                                                                                                        \\
    UNROLL for (int q = 0; q < wide; q++) y[q] = *(const vf *)(packed + q / 2 * panel + q % 2 * LANES);             \\
    EACH_SUM s[i] = v_fma(v_number(a[i / wide * stride_row]), y[i % wide], s[i]);                                   \\
    a += stride_k;                                                                                                  \\
    packed += PANEL;                                                                                                \\
  }
#if TERMS == 2
  if (k % 2 == 1) TERM
  for (int64_t pair = k / 2; pair > 0; pair--) { TERM TERM }
#else
  for (int64_t term = k; term > 0; term--) TERM
#endif
#undef TERM
  if (added) {
    EACH_SUM s[i] += *(const vf *)(added + i / wide * stride_added + i % wide * LANES);
  }
  EACH_SUM *(vf *)(out + i / wide * stride_out + i % wide * LANES) = s[i];
#undef EACH_SUM
}

/* out = sums + added, for fewer columns than a panel has. Apart from tiles, so that these stay in registers. */
APART void edge(int64_t rows, int64_t n, const float *sums, float *out, int64_t stride_out, const float *added,
                int64_t stride_added) {
  for (int64_t q = 0; q < n; q += LANES) {
    const lanes w = v_lanes(n - q);
    for (int64_t r = 0; r < rows; r++) {
      vf sum = *(const vf *)(sums + r * PANEL + q);
      if (added) sum += v_load(added + r * stride_added + q, w);
      v_store(out + r * stride_out + q, sum, w);
    }
  }
}

/* The tiles of each number of rows, over n columns. */
#define TILE(ROWS, PANELS)                                                                                          \\
  APART void tile_of_##ROWS(const float *a, int64_t stride_row, int64_t stride_k, const float *packed,              \\
                            int64_t panel, float *out, int64_t stride_out, int64_t n, int64_t k,                    \\
                            const float *added, int64_t stride_added) {                                             \\
    for (; n >= PANELS * PANEL; n -= PANELS * PANEL, packed += PANELS * panel, out += PANELS * PANEL) {             \\
      tile(ROWS, PANELS, a, stride_row, stride_k, packed, panel, out, stride_out, k, added, stride_added);          \\
      if (added) added += PANELS * PANEL;                                                                           \\
    }                                                                                                               \\
    for (; n > 0; n -= PANEL, packed += panel, out += PANEL) {                                                      \\
      float sums[ROWS * PANEL];                                                                                     \\
      tile(ROWS, 1, a, stride_row, stride_k, packed, panel, sums, PANEL, k, NULL, 0);                               \\
      edge(ROWS, least(n, PANEL), sums, out, stride_out, added, stride_added);                                      \\
      if (added) added += PANEL;                                                                                    \\
    }                                                                                                               \\
  }
EACH_TILE(TILE)

/* Any number of rows, in strips as even as possible: of 64, 6 at a time would leave 4. */
static void strips(int64_t m, const float *a, int64_t stride_row, int64_t stride_k, const float *packed, int64_t panel,
                   float *out, int64_t stride_out, int64_t n, int64_t k, const float *added, int64_t stride_added) {
  for (int64_t left = (m + MOST_ROWS - 1) / MOST_ROWS; left > 0; left--) {
    const int64_t rows = (m + left - 1) / left;
#define CASE(ROWS, PANELS)                                                                                          \\
  case ROWS:                                                                                                        \\
    tile_of_##ROWS(a, stride_row, stride_k, packed, panel, out, stride_out, n, k, added, stride_added);             \\
    break;
    switch (rows) { EACH_TILE(CASE) }
    m -= rows;
    a += rows * stride_row;
    out += rows * stride_out;
    if (added) added += rows * stride_added;
  }
}

/* sums += terms, with the rounding errors of the sums kept beside them; an infinite or NaN sum has none. */
APART void settle(float *sums, float *errors, const float *terms, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    const vf term = *(const vf *)(terms + i) + *(const vf *)(errors + i), before = *(const vf *)(sums + i);
    const vf sum = before + term, lost = term - (sum - before);
    *(vf *)(sums + i) = sum;
    *(vf *)(errors + i) = v_choose(v_equal(lost, lost), lost, v_number(0));
  }
}

/* A chunk of rows times n columns, whole panels, with many terms, in blocks: sums[rows][WIDE]. */
APART void many_terms(int64_t rows, const float *a, int64_t stride_row, int64_t stride_k, const float *packed,
                      int64_t panel, int64_t n, int64_t k, float *sums) {
  float part[CHUNK * WIDE], errors[CHUNK * WIDE];
  if (k > PART) memset(errors, 0, (size_t)rows * WIDE * sizeof(float));
  for (int64_t first = 0; first < k; first += PART) {
    const int64_t end = least(k, first + PART);
    float *const into = first == 0 ? sums : part;
    for (int64_t p = first; p < end; p += BLOCK)
      strips(rows, a + p * stride_k, stride_row, stride_k, packed + p * PANEL, panel, into, WIDE, n,
             least(BLOCK, end - p), p == first ? NULL : into, WIDE);
    for (int64_t r = 0; first > 0 && r < rows; r++) settle(sums + r * WIDE, errors + r * WIDE, part + r * WIDE, n);
  }
}

static _Thread_local unsigned turns;

/* All columns, with up to WHOLE terms, in pieces that stay in a cache; if \`back\`, from the last to the first. */
static void few_terms(const float *a, int64_t stride_row, int64_t stride_k, const float *packed, int64_t panel,
                      float *out, int64_t stride_out, int64_t m, int64_t n, int64_t k, const float *added,
                      int64_t stride_added, int back) {
  const int64_t pass = WIDE * ((m * k > FEW ? PASS : FEW) / (WIDE * k + 1) + 1);
  const int64_t last = (n - 1) / pass * pass;
  for (int64_t i = 0; i < n; i += pass) {
    const int64_t j = back ? last - i : i;
    strips(m, a, stride_row, stride_k, packed + j / PANEL * panel, panel, out + j, stride_out, least(pass, n - j), k,
           added ? added + j : NULL, stride_added);
  }
}

/* C[m][n] = A[m][k] B + D: element (i, p) of A lies at a[i * stride_row + p * stride_k]; D may be absent, or C. */
static void product(const float *a, int64_t stride_row, int64_t stride_k, const float *packed, float *out,
                    int64_t stride_out, int64_t m, int64_t n, int64_t k, const float *added, int64_t stride_added) {
  const int64_t panel = k * PANEL;
  if (k <= 2 * WHOLE) {
    const int64_t half = k <= WHOLE ? k : (k + 1) / 2;
    /* Every other time backwards: what was read last is still in the first cache. */
    const int back = (turns++ & 1) != 0;
    few_terms(a, stride_row, stride_k, packed, panel, out, stride_out, m, n, half, added, stride_added, back);
    if (half < k)
      few_terms(a + half * stride_k, stride_row, stride_k, packed + half * PANEL, panel, out, stride_out, m, n, k - half,
                out, stride_out, back);
    return;
  }
  float sums[CHUNK * WIDE];
  for (int64_t row = 0; row < m; row += CHUNK) {
    const int64_t rows = least(CHUNK, m - row);
    for (int64_t j = 0; j < n; j += WIDE) {
      const int64_t columns = least(WIDE, n - j);
      many_terms(rows, a + row * stride_row, stride_row, stride_k, packed + j * k, panel,
                 (columns + PANEL - 1) / PANEL * PANEL, k, sums);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q += LANES) {
          const lanes w = v_lanes(columns - q);
          vf sum = *(const vf *)(sums + r * WIDE + q);
          if (added) sum += v_load(added + (row + r) * stride_added + j + q, w);
          v_store(out + (row + r) * stride_out + j + q, sum, w);
        }
    }
  }
}
`;
