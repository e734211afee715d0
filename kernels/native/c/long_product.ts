/**
 * Products A' B with many terms in C, such as the gradients of weights: both operands are packed a part of the terms at a
 * time, each piece just before it is used.
 */
/** The terms that are packed at a time. */
const LONG_TERMS = 256;

/** The terms of left operands that are turned at a time. */
export const TURNED_TERMS = 8;

/** Rows of a tile, and the most columns of one. */
const TILE_ROWS = 6, TILE_COLUMNS = 64;

/** Floats of space for a long product with this many rows of results in total. */
export function longProductFloats(rows: number, columns: number): number {
  const padded = Math.ceil(rows / TILE_ROWS) * TILE_ROWS;
  const wide = Math.ceil(columns / TILE_COLUMNS) * TILE_COLUMNS;
  return LONG_TERMS * (TILE_COLUMNS + padded) + 2 * padded * wide;
}

/** What is written behind products (`product.ts`). */
export const LONG_PRODUCTS =
  `/* Products with many terms. A tile has MOST_ROWS rows and LONG_PANELS panels, and is TILE_WIDE columns wide. Of LONG
   terms, NEAR at a time go through all rows, so that these of the right operand stay in the first cache. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define LONG_PANELS 2
#else
#define LONG_PANELS 1
#endif
#define TILE_WIDE (LONG_PANELS * PANEL)
#define LONG ${LONG_TERMS}
#define LONG_PART (2 * LONG)
#define NEAR (4096 / TILE_WIDE < LONG ? 4096 / TILE_WIDE : LONG)
enum { TURNED_TERMS = ${TURNED_TERMS}, SOON = 32 };

/* Writes count rows from the first on, one after the other. Up to a vector behind the last one changes. */
APART void lay_out(const struct windows *w, int64_t first, int64_t count, float *to) {
  const int64_t wide = w->row_sizes[3], step = w->row_strides[3], run = w->term_sizes[3], apart = w->term_strides[3];
  const int64_t *const sizes = w->term_sizes, *const strides = w->term_strides, whole = (run - 1) / LANES * LANES;
  const lanes last = v_lanes(run - whole);
  for (int64_t row = first, end = first + count; row < end;) {
    const int64_t at = row % wide, some = least(wide - at, end - row);
    const float *from = w->from + at * step;
    int64_t rest = row / wide;
    for (int64_t axis = 2; axis >= 0; rest /= w->row_sizes[axis], axis--)
      from += rest % w->row_sizes[axis] * w->row_strides[axis];
    /* The rows up to the end of the innermost axis are evenly apart. */
    for (int64_t r = 0; r < some; r++, from += step)
      for (int64_t i = 0; i < sizes[0]; i++)
        for (int64_t j = 0; j < sizes[1]; j++) {
          const float *f = from + i * strides[0] + j * strides[1];
          for (int64_t k = sizes[2]; k > 0; k--, f += strides[2], to += run) {
            if (apart == 1) {
              for (int64_t q = 0; q < whole; q += LANES) *(vf *)(to + q) = *(const vf *)(f + q);
              *(vf *)(to + whole) = v_load(f + whole, last);
            } else
              for (int64_t q = 0; q < run; q++) to[q] = f[q * apart];
          }
        }
    row += some;
  }
}

/* Asks for floats that are read soon; there may be none. */
INLINE void fetch(const float *from, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i, 0, 2);
}

/* Packs terms of all A', whose rows follow each other: turned[rows / MOST_ROWS][LONG][MOST_ROWS]. */
APART void turn(const struct left *lefts, int64_t count, int64_t first, int64_t k, float *turned) {
  /* A few terms at a time, so that what is read lies side by side; the next ones are fetched meanwhile. */
  for (int64_t from = 0; from < k; from += TURNED_TERMS) {
    const int64_t end = least(k, from + TURNED_TERMS), next = least(k, end + TURNED_TERMS);
    float *to = turned;
    int64_t place = 0;
    for (const struct left *left = lefts; left < lefts + count; left++) {
      if (left->windows) lay_out(left->windows, left->begin + first + from, end - from, left->rows_laid_out);
      else
        for (int64_t p = end; p < next; p++) fetch(left->a + (first + p) * left->step, left->rows);
      const float *const a =
          left->windows ? left->rows_laid_out - from * left->step : left->a + first * left->step;
      for (int64_t row = 0; row < left->rows;) {
        const int64_t rows = least(MOST_ROWS - place, left->rows - row);
        if (rows == MOST_ROWS)
          for (int64_t p = from; p < end; p++)
            memcpy(to + p * MOST_ROWS, a + p * left->step + row, MOST_ROWS * sizeof(float));
        else
          for (int64_t p = from; p < end; p++)
            for (int64_t r = 0; r < rows; r++) to[p * MOST_ROWS + place + r] = a[p * left->step + row + r];
        row += rows;
        place += rows;
        if (place == MOST_ROWS) {
          place = 0;
          to += LONG * MOST_ROWS;
        }
      }
    }
  }
}

/* What the compiler should not compute ahead of the loop: it would move sums out of registers for it. */
#define HERE(pointer) __asm__("" : "+r"(pointer))

/* Rows of turned A times TILE_WIDE columns of B, in blocks of terms: sums[rows][TILE_WIDE] = A' B, or += if not fresh. The
   columns are packed; or, if \`packs\`, they are those at b, and are packed by the way. Of these, what is SOON terms ahead is
   fetched, as rows that are far apart do not stay in the cache. */
INLINE void long_tile(const int rows, const int packs, const float *a, const float *b, int64_t stride_b, float *packed,
                      int64_t panel, int64_t k, float *sums, int fresh) {
  vf s[MOST_ROWS][2 * LONG_PANELS];
  do {
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int q = 0; q < 2 * LONG_PANELS; q++) s[r][q] = (vf){0};
    }
#define LONG_TERM                                                                                                   \\
  {                                                                                                                 \\
    vf y[2 * LONG_PANELS];                                                                                          \\
    UNROLL for (int q = 0; q < 2 * LONG_PANELS; q++) {                                                              \\
      float *const place = packed + q / 2 * panel + q % 2 * LANES;                                                  \\
      y[q] = packs ? *(const vf *)(b + q * LANES) : *(const vf *)place;                                             \\
      if (packs) *(vf *)place = y[q];                                                                               \\
    }                                                                                                               \\
    UNROLL for (int r = 0; r < rows; r++) {                                                                         \\
      const vf t = v_number(a[r]);                                                                                  \\
      UNROLL for (int q = 0; q < 2 * LONG_PANELS; q++) s[r][q] = v_fma(t, y[q], s[r][q]);                           \\
    }                                                                                                               \\
    a += MOST_ROWS;                                                                                                 \\
    packed += PANEL;                                                                                                \\
    b += stride_b;                                                                                                  \\
    HERE(a);                                                                                                        \\
    HERE(packed);                                                                                                   \\
    if (packs) {                                                                                                    \\
      fetch(b + SOON * stride_b, TILE_WIDE);                                                                        \\
      HERE(b);                                                                                                      \\
    }                                                                                                               \\
  }
    if (k >= BLOCK) {
      for (int pair = BLOCK / 2; pair > 0; pair--) { LONG_TERM LONG_TERM }
    } else {
      for (int64_t term = k; term > 0; term--) LONG_TERM
    }
#undef LONG_TERM
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int q = 0; q < 2 * LONG_PANELS; q++) {
        vf *const to = (vf *)(sums + r * TILE_WIDE + q * LANES);
        if (fresh) *to = s[r][q];
        else *to += s[r][q];
      }
    }
    fresh = 0;
    k -= BLOCK;
  } while (k > 0);
}

/* The tiles of each number of rows, with packed columns; and those of the first rows, which pack them. */
#define LONG_TILE(ROWS, PANELS)                                                                                     \\
  APART void long_tile_of_##ROWS(const float *a, float *packed, int64_t panel, int64_t k, float *sums, int fresh) { \\
    long_tile(ROWS, 0, a, NULL, 0, packed, panel, k, sums, fresh);                                                  \\
  }
EACH_TILE(LONG_TILE)
APART void packing_tile(const float *a, const float *b, int64_t stride_b, float *packed, int64_t panel, int64_t k,
                        float *sums, int fresh) {
  long_tile(MOST_ROWS, 1, a, b, stride_b, packed, panel, k, sums, fresh);
}

/* A vector of sums to results, if they are the first, or added to them; errors are what rounding takes from the results. */
INLINE void add_vector(const float *sums, int fresh, float *out, float *errors, lanes w) {
  const vf term = *(const vf *)sums;
  if (fresh) {
    v_store(out, term, w);
    return;
  }
  const vf more = term + *(const vf *)errors, before = v_load(out, w);
  const vf sum = before + more, lost = more - (sum - before);
  v_store(out, sum, w);
  *(vf *)errors = v_choose(v_equal(lost, lost), lost, v_number(0));
}

/* sums[rows][TILE_WIDE] to results, with errors[rows][TILE_WIDE] unless they are the first. */
APART void add_to_results(int64_t rows, int64_t columns, const float *sums, int fresh, float *out, int64_t stride_out,
                          float *errors) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t q = 0; q < columns; q += LANES)
      add_vector(sums + r * TILE_WIDE + q, fresh, out + r * stride_out + q,
                 fresh ? NULL : errors + r * TILE_WIDE + q, v_lanes(columns - q));
}

/* Where the next rows of results are among those of all left operands. */
struct place {
  const struct left *left;
  int64_t row;
};

/* Products A' B of any number of A with one B[terms][n]. LONG terms of A, and of them TILE_WIDE columns of B, are packed at
   a time into the space; while these are used, what is needed next is fetched. Behind them lie the sums of up to
   LONG_PART terms, tile by tile, and the rounding errors of results, which are kept where there are more terms. */
static void long_product(const struct left *lefts, int64_t count, const float *b, int64_t stride_b, int64_t terms,
                         int64_t n, float *space) {
  int64_t all = 0;
  for (int64_t l = 0; l < count; l++) all += lefts[l].rows;
  const int64_t tiles = (all + MOST_ROWS - 1) / MOST_ROWS, padded = tiles * MOST_ROWS;
  const int64_t whole = padded * ((n + TILE_WIDE - 1) / TILE_WIDE) * TILE_WIDE;
  float *const packed = space, *const turned = packed + LONG * TILE_WIDE, *const sums = turned + LONG * padded;
  float *const errors = terms > LONG_PART ? sums + whole : NULL;
  if (errors) memset(errors, 0, (size_t)whole * sizeof(float));
  /* At least once: without terms the results are zero. */
  for (int64_t first = 0; first == 0 || first < terms; first += LONG) {
    const int64_t k = least(LONG, terms - first), panel = k * PANEL, fetched = (LONG + tiles - 1) / tiles;
    const int begins = first % LONG_PART == 0, ends = (first + LONG) % LONG_PART == 0 || first + LONG >= terms;
    turn(lefts, count, first, k, turned);
    for (int64_t j = 0; j < n; j += TILE_WIDE) {
      const int64_t columns = least(TILE_WIDE, n - j);
      const int packs = columns == TILE_WIDE && all >= MOST_ROWS;
      if (!packs) pack(b + first * stride_b + j, packed, k, columns, stride_b, 1);
      const int is_last = j + TILE_WIDE >= n;
      const int64_t next = is_last ? 0 : j + TILE_WIDE, wide = least(TILE_WIDE, n - next);
      int64_t coming = is_last ? first + LONG : first;
      const int64_t end = least(terms, coming + LONG);
      /* At least once here too. */
      for (int64_t p = 0; p == 0 || p < k; p += NEAR) {
        const int64_t near = least(NEAR, k - p);
        const int fresh = begins && p == 0, adds = ends && p + near == k;
        struct place at = {lefts, 0};
        for (int64_t row = 0; row < all; row += MOST_ROWS) {
          const int64_t rows = least(MOST_ROWS, all - row);
          const float *const a = turned + row * LONG + p * MOST_ROWS;
          float *const from = packed + p * PANEL, *const to = sums + j * padded + row * TILE_WIDE;
          if (!fresh) fetch(to, rows * TILE_WIDE);
          if (adds && first >= LONG_PART) {
            fetch(errors + (to - sums), rows * TILE_WIDE);
            for (int64_t r = at.row; r < least(at.row + rows, at.left->rows); r++)
              fetch(at.left->out + r * at.left->stride_out + j, columns);
          }
          for (const int64_t last = least(end, coming + fetched); coming < last; coming++)
            fetch(b + coming * stride_b + next, wide);
          if (packs && row == 0)
            packing_tile(a, b + (first + p) * stride_b + j, stride_b, from, panel, near, to, fresh);
          else
            switch (rows) {
#define LONG_CASE(ROWS, PANELS)                                                                                     \\
  case ROWS:                                                                                                        \\
    long_tile_of_##ROWS(a, from, panel, near, to, fresh);                                                           \\
    break;
              EACH_TILE(LONG_CASE)
            }
          for (int64_t r = 0; adds && r < rows;) {
            if (at.row == at.left->rows) {
              at = (struct place){at.left + 1, 0};
              continue;
            }
            const int64_t some = least(rows - r, at.left->rows - at.row);
            add_to_results(some, columns, to + r * TILE_WIDE, first < LONG_PART,
                           at.left->out + at.row * at.left->stride_out + j, at.left->stride_out,
                           errors ? errors + (to - sums) + r * TILE_WIDE : NULL);
            r += some;
            at.row += some;
          }
        }
      }
    }
  }
}
`;
