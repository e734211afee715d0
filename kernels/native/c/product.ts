/**
 * Matrix products in C: packed right operands, tiles in registers, and sums in blocks where there are many terms.
 */

/** A packed operand is rounded up to so many columns, a multiple of the columns of a panel on every target. */
export const PANEL_COLUMNS = 32;

/** Terms and columns that a long product packs at a time, and the floats between terms of a packed strip. */
const LONG_TERMS = 512, GROUP_COLUMNS = 128, TURNED = 16;

/** Floats of space for a long product with this many rows of results in total. */
export function longProductFloats(rows: number, columns: number): number {
  const wide = Math.ceil(columns / PANEL_COLUMNS) * PANEL_COLUMNS;
  return LONG_TERMS * (GROUP_COLUMNS + TURNED) + rows * wide;
}

/** Tiles per target: the most rows, and the panels side by side for each number of rows. */
export const PRODUCTS = `/* Products. A panel is two vectors of columns, one row after the other. */
#define PANEL (2 * LANES)
#define TURNED ${TURNED}
#if defined(__AVX512F__) || defined(__aarch64__)
#define MOST_ROWS 12
#define EACH_TILE(T) T(1, 4) T(2, 4) T(3, 3) T(4, 3) T(5, 2) T(6, 2) T(7, 1) T(8, 1) T(9, 1) T(10, 1) T(11, 1) T(12, 1)
#else
#define MOST_ROWS 6
#define EACH_TILE(T) T(1, 4) T(2, 2) T(3, 2) T(4, 1) T(5, 1) T(6, 1)
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
/* Up to WHOLE terms are added one after another; beyond it, BLOCK at a time, and PART of them before the rounding
   errors of sums are kept (Kahan, 1965). The right operand is passed over in pieces of PASS floats. */
enum { WHOLE = 512, BLOCK = 64, PART = 2048, PASS = 1 << 15, LONG = ${LONG_TERMS}, GROUP = ${GROUP_COLUMNS} };

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

/* Rows of A times panels of B, with all sums in registers: out = A B + added, for the first n columns. */
INLINE void tile(const int rows, const int panels, const float *a, int64_t stride_row, int64_t stride_k,
                 const float *packed, int64_t panel, float *out, int64_t stride_out, int64_t n, int64_t k,
                 const float *added, int64_t stride_added) {
  vf s[MOST_ROWS][8];
  const float *b[4];
  UNROLL for (int q = 0; q < panels; q++) b[q] = q == 0 || q * PANEL < n ? packed + q * panel : b[q - 1];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int q = 0; q < 2 * panels; q++) s[r][q] = (vf){0};
  }
  for (int64_t p = 0; p < k; p++) {
    vf y[8];
    UNROLL for (int q = 0; q < panels; q++) {
      y[2 * q] = *(const vf *)(b[q] + p * PANEL);
      y[2 * q + 1] = *(const vf *)(b[q] + p * PANEL + LANES);
    }
    const float *x = a + p * stride_k;
    UNROLL for (int r = 0; r < rows; r++) {
      const vf t = v_number(x[r * stride_row]);
      UNROLL for (int q = 0; q < 2 * panels; q++) s[r][q] = v_fma(t, y[q], s[r][q]);
    }
  }
  UNROLL for (int q = 0; q < 2 * panels; q++) {
    if (q * LANES >= n) break;
    const lanes w = v_lanes(n - q * LANES);
    UNROLL for (int r = 0; r < rows; r++) {
      vf sum = s[r][q];
      if (added) sum += v_load(added + r * stride_added + q * LANES, w);
      v_store(out + r * stride_out + q * LANES, sum, w);
    }
  }
}

/* The tile of each number of rows, over columns as wide as it takes. */
#define TILE(ROWS, PANELS)                                                                                          \\
  APART void tile_of_##ROWS(const float *a, int64_t stride_row, int64_t stride_k, const float *packed,             \\
                             int64_t panel, float *out, int64_t stride_out, int64_t n, int64_t k,                   \\
                             const float *added, int64_t stride_added) {                                            \\
    for (; n > 0; n -= PANELS * PANEL, packed += PANELS * panel, out += PANELS * PANEL) {                           \\
      if (stride_k == 1)                                                                                            \\
        tile(ROWS, PANELS, a, stride_row, 1, packed, panel, out, stride_out, n, k, added, stride_added);            \\
      else if (stride_row == 1)                                                                                     \\
        tile(ROWS, PANELS, a, 1, stride_k, packed, panel, out, stride_out, n, k, added, stride_added);              \\
      else                                                                                                          \\
        tile(ROWS, PANELS, a, stride_row, stride_k, packed, panel, out, stride_out, n, k, added, stride_added);     \\
      if (added) added += PANELS * PANEL;                                                                           \\
    }                                                                                                               \\
  }
EACH_TILE(TILE)

/* The tile of this many rows. */
APART void strip(int64_t rows, const float *a, int64_t stride_row, int64_t stride_k, const float *packed,
                  int64_t panel, float *out, int64_t stride_out, int64_t n, int64_t k, const float *added,
                  int64_t stride_added) {
#define CASE(ROWS, PANELS)                                                                                          \\
  case ROWS:                                                                                                        \\
    tile_of_##ROWS(a, stride_row, stride_k, packed, panel, out, stride_out, n, k, added, stride_added);             \\
    break;
  switch (rows) { EACH_TILE(CASE) }
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

/* Rows times a panel with many terms, in blocks: sums[rows][PANEL]. */
APART void many_terms(int64_t rows, const float *a, int64_t stride_row, int64_t stride_k, const float *packed,
                       int64_t k, float *sums) {
  float part[MOST_ROWS * PANEL], errors[MOST_ROWS * PANEL];
  memset(errors, 0, sizeof errors);
  for (int64_t first = 0; first < k; first += PART) {
    const int64_t end = least(k, first + PART);
    float *const into = first == 0 ? sums : part;
    for (int64_t p = first; p < end; p += BLOCK)
      strip(rows, a + p * stride_k, stride_row, stride_k, packed + p * PANEL, 0, into, PANEL, PANEL,
            least(BLOCK, end - p), p == first ? NULL : into, PANEL);
    if (first > 0) settle(sums, errors, part, rows * PANEL);
  }
}

/* C[m][n] = A[m][k] B + D: element (i, p) of A lies at a[i * stride_row + p * stride_k]; D may be absent, or C. */
static void product(const float *a, int64_t stride_row, int64_t stride_k, const float *packed, float *out,
                    int64_t stride_out, int64_t m, int64_t n, int64_t k, const float *added, int64_t stride_added) {
  const int64_t panel = k * PANEL, pass = PANEL * (PASS / (panel + 1) + 1);
  for (int64_t j = 0; j < n; j += pass) {
    const int64_t columns = least(pass, n - j);
    int64_t strips = (m + MOST_ROWS - 1) / MOST_ROWS, row = 0;
    /* Strips as even as possible: of 64 rows, 12 at a time would leave 4. */
    for (; row < m; strips--) {
      const int64_t rows = (m - row + strips - 1) / strips;
      const float *const from = a + row * stride_row, *const plus = added ? added + row * stride_added + j : NULL;
      float *const to = out + row * stride_out + j;
      if (k <= WHOLE) {
        strip(rows, from, stride_row, stride_k, packed + j * k, panel, to, stride_out, columns, k, plus, stride_added);
      } else {
        float sums[MOST_ROWS * PANEL];
        for (int64_t q = 0; q < columns; q += PANEL) {
          many_terms(rows, from, stride_row, stride_k, packed + (j + q) * k, k, sums);
          for (int64_t r = 0; r < rows; r++)
            for (int64_t i = q; i < least(columns, q + PANEL); i++)
              to[r * stride_out + i] = sums[r * PANEL + i - q] + (plus ? plus[r * stride_added + i] : 0);
        }
      }
      row += rows;
    }
  }
}

/* Adds sums[rows][PANEL] to results, with the rounding errors kept beside them; the first sums are the results. */
APART void add_to_results(int64_t rows, int64_t columns, const float *sums, float *out, int64_t stride_out,
                           float *errors, int64_t stride_errors) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t q = 0; q < columns; q += LANES) {
      const lanes w = v_lanes(columns - q);
      const vf term = *(const vf *)(sums + r * PANEL + q);
      float *const to = out + r * stride_out + q;
      if (!errors) {
        v_store(to, term, w);
        continue;
      }
      const vf more = term + *(const vf *)(errors + r * stride_errors + q), before = v_load(to, w);
      const vf sum = before + more, lost = more - (sum - before);
      v_store(to, sum, w);
      *(vf *)(errors + r * stride_errors + q) = v_choose(v_equal(lost, lost), lost, v_number(0));
    }
  }
}

/* Packs rows of a strip of A': turned[term][TURNED]. */
APART void turn_strip(const float *a, int64_t step, int64_t rows, int64_t terms, float *turned) {
#if LANES == TURNED
  const lanes n = v_lanes(rows);
  for (int64_t p = 0; p < terms; p++) *(vf *)(turned + p * TURNED) = v_load(a + p * step, n);
#else
  if (rows == MOST_ROWS)
    for (int64_t p = 0; p < terms; p++) memcpy(turned + p * TURNED, a + p * step, MOST_ROWS * sizeof(float));
  else
    for (int64_t p = 0; p < terms; p++)
      for (int64_t r = 0; r < rows; r++) turned[p * TURNED + r] = a[p * step + r];
#endif
}

/* Products A' B of any number of A with one B[terms][n]. LONG terms and GROUP columns of B are packed at a time into the
   space, behind which the rounding errors of the results are kept. */
static void long_product(const struct left *lefts, int64_t count, const float *b, int64_t stride_b, int64_t terms,
                         int64_t n, float *space) {
  float *const panels = space, *const turned = panels + LONG * GROUP, *const errors = turned + LONG * TURNED;
  const int64_t wide = (n + PANEL - 1) / PANEL * PANEL;
  int64_t all = 0;
  for (int64_t l = 0; l < count; l++) all += lefts[l].rows;
  if (terms > LONG) memset(errors, 0, (size_t)(all * wide) * sizeof(float));
  /* At least once: without terms the results are zero. */
  for (int64_t first = 0; first == 0 || first < terms; first += LONG) {
    const int64_t k = least(LONG, terms - first);
    for (int64_t j = 0; j < n; j += GROUP) {
      const int64_t columns = least(GROUP, n - j);
      pack(b + first * stride_b + j, panels, k, columns, stride_b, 1);
      int64_t done = 0;
      for (int64_t l = 0; l < count; l++) {
        const struct left *const left = lefts + l;
        int64_t strips = (left->rows + MOST_ROWS - 1) / MOST_ROWS;
        for (int64_t row = 0; row < left->rows; strips--) {
          const int64_t rows = (left->rows - row + strips - 1) / strips;
          turn_strip(left->a + first * left->step + row, left->step, rows, k, turned);
          for (int64_t q = 0; q < columns; q += PANEL) {
            float *const to = left->out + row * left->stride_out + j + q;
            float sums[MOST_ROWS * PANEL];
            if (k == 0) memset(sums, 0, sizeof sums);
            for (int64_t p = 0; p < k; p += BLOCK)
              strip(rows, turned + p * TURNED, 1, TURNED, panels + q * k + p * PANEL, 0, sums, PANEL, PANEL,
                    least(BLOCK, k - p), p == 0 ? NULL : sums, PANEL);
            add_to_results(rows, least(PANEL, columns - q), sums, to, left->stride_out,
                           first == 0 ? NULL : errors + done * wide + j + q, wide);
          }
          row += rows;
          done += rows;
        }
      }
    }
  }
}
`;
