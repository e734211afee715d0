/** How kernels find buffers by the table of a call. */
export const PLACES = `/* Where buffers lie: the table counts addresses in units of 64 bytes. */
INLINE void *at(const struct call *c, int index) { return c->memory + (uint64_t)(uint32_t)c->table[index] * 64; }
`;

/** Functions that the kernels of Programs call, besides those on vectors. */
export const HELPERS = `INLINE float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
/* The nearest index from 0 to the last. */
INLINE int64_t clamped(int64_t index, int64_t last) { return index < 0 || last < 0 ? 0 : index > last ? last : index; }
/* NaN where either is. */
INLINE float larger(float a, float b) {
  if (a == b) return __builtin_signbit(a) ? b : a;
  return a < b || b != b ? b : a;
}
/* Sums in double, one for each lane of a vector of floats. They are two vectors: GCC keeps a vector that is wider than a
   register in memory. */
#if LANES > 1
typedef double vh __attribute__((vector_size(4 * LANES)));
#define NO_SUMS (struct sums){{0}, {0}}
#else
typedef double vh;
#define NO_SUMS (struct sums){0, 0}
#endif
struct sums { vh low, high; };
INLINE struct sums v_add_wide(struct sums sums, vf x) {
#if defined(__AVX512F__)
  sums.low += (vh)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
  sums.high += (vh)_mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)x), 1)));
#elif defined(__AVX2__)
  sums.low += (vh)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
  sums.high += (vh)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#elif LANES == 4
  sums.low += (vh){x[0], x[1]};
  sums.high += (vh){x[2], x[3]};
#else
  sums.low += x[0];
#endif
  return sums;
}
/* The sums rounded to floats. */
INLINE vf v_rounded(struct sums sums) {
#if defined(__AVX512F__)
  const __m512d low = _mm512_castps_pd(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)sums.low)));
  return (vf)_mm512_insertf64x4(low, _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)sums.high)), 1);
#elif defined(__AVX2__)
  return (vf)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)sums.high), _mm256_cvtpd_ps((__m256d)sums.low));
#elif LANES == 4
  return (vf){(float)sums.low[0], (float)sums.low[1], (float)sums.high[0], (float)sums.high[1]};
#else
  return (vf){(float)sums.low};
#endif
}
/* The lanes of a vector as one number; sums by halves, so that few additions wait for one another. */
INLINE double v_total(struct sums sums) {
#if LANES > 1
  const vh x = sums.low + sums.high;
#if defined(__AVX512F__)
  return _mm512_reduce_add_pd((__m512d)x);
#else
  double part[LANES / 2];
  memcpy(part, &x, sizeof x);
  for (int width = LANES / 4; width > 0; width /= 2)
    for (int i = 0; i < width; i++) part[i] = part[i] + part[i + width];
  return part[0];
#endif
#else
  return sums.low;
#endif
}
INLINE int32_t v_total_int(vi x) {
  int32_t sum = x[0];
  for (int i = 1; i < LANES; i++) sum = sum + x[i];
  return sum;
}
INLINE float v_largest(vf x) {
  float all = x[0];
  for (int i = 1; i < LANES; i++) all = larger(all, x[i]);
  return all;
}
INLINE int32_t v_largest_int(vi x) {
  int32_t all = x[0];
  for (int i = 1; i < LANES; i++) all = all < x[i] ? x[i] : all;
  return all;
}
/* A sum with another term; the rounding error of the sum is kept beside it, and an infinite or NaN sum has none. */
INLINE void add_exactly(float *sum, float *error, float x) {
  const float term = x + *error, before = *sum;
  *sum = before + term;
  const float lost = term - (*sum - before);
  *error = lost - lost == 0 ? lost : 0;
}
/* The same for the first lanes of vectors. */
INLINE void v_add_exactly(float *sums, float *errors, vf x, lanes n) {
  const vf term = x + v_load(errors, n), before = v_load(sums, n), sum = before + term, lost = term - (sum - before);
  v_store(sums, sum, n);
  v_store(errors, v_choose(v_equal(lost - lost, v_number(0)), lost, v_number(0)), n);
}
__attribute__((unused)) static const float one = 1;

/* Threefry-2x32 with 20 rounds (Salmon et al., 2011): word i is that of block i / 2, whose counter is (i / 2, counter). */
__attribute__((unused)) static void threefry(int32_t *to, int64_t size, uint32_t key0, uint32_t key1, uint32_t counter) {
  static const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  const uint32_t keys[3] = {key0, key1, key0 ^ key1 ^ 0x1bd11bdau};
  for (int64_t i = 0; i < size; i += 2 * LANES) {
    vu x0, x1;
    for (int lane = 0; lane < LANES; lane++) x0[lane] = (uint32_t)(i / 2 + lane);
    x0 = x0 + keys[0];
    x1 = (vu)v_integer((int32_t)(counter + keys[1]));
    for (int round = 0; round < 20; round++) {
      const int by = rotations[round % 8];
      x0 = x0 + x1;
      x1 = (x1 << by | x1 >> (32 - by)) ^ x0;
      if (round % 4 == 3) {
        const int group = (round + 1) / 4;
        x0 = x0 + keys[group % 3];
        x1 = x1 + (keys[(group + 1) % 3] + (uint32_t)group);
      }
    }
    for (int lane = 0; lane < LANES; lane++) {
      if (i + 2 * lane < size) to[i + 2 * lane] = (int32_t)x0[lane];
      if (i + 2 * lane + 1 < size) to[i + 2 * lane + 1] = (int32_t)x1[lane];
    }
  }
}
`;
