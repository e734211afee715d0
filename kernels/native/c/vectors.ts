/**
 * Vectors in C, as wide as the compiler's target has them: the types, and the few functions on them for which GCC's and
 * Clang's vector extensions have no operator. A mask is a register of bits where the target has those, else all ones
 * or all zeros per lane. Everything that touches memory says how many lanes it touches.
 */

/** The file's beginning: what all C of this backend starts with. */
export const HEADERS = `#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif
`;

/** Types, loads and stores. */
export const VECTORS = `/* Vectors of the target's width, which may lie at any address. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#elif defined(__SSE2__) || defined(__ARM_NEON)
#define LANES 4
#else
#define LANES 1
#endif
#define INLINE static inline __attribute__((always_inline, unused))
/* A function of which nothing is concluded where it is called: GCC 12 takes one whose only writes are masked stores for one
   without effect, and may leave out its calls. */
#if defined(__clang__)
#define APART __attribute__((noinline)) static
#else
#define APART __attribute__((noipa)) static
#endif
typedef float vf __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef double vd __attribute__((vector_size(8 * LANES)));

INLINE vf v_number(float x) { return x - (vf){0}; }
INLINE vi v_integer(int32_t x) { return x - (vi){0}; }

#if defined(__AVX512F__)
typedef __mmask16 mask;
typedef __mmask16 lanes;
INLINE lanes v_lanes(int64_t left) { return left >= LANES ? (lanes)0xffff : (lanes)((1u << left) - 1); }
INLINE vf v_load(const float *p, lanes n) { return (vf)_mm512_maskz_loadu_ps(n, p); }
INLINE vi v_load_int(const int32_t *p, lanes n) { return (vi)_mm512_maskz_loadu_epi32(n, p); }
INLINE void v_store(float *p, vf x, lanes n) { _mm512_mask_storeu_ps(p, n, (__m512)x); }
INLINE void v_store_int(int32_t *p, vi x, lanes n) { _mm512_mask_storeu_epi32(p, n, (__m512i)x); }
/* Lanes that are there of one, and the others of the other. */
INLINE vf v_first(vf x, lanes n, vf rest) { return (vf)_mm512_mask_blend_ps(n, (__m512)rest, (__m512)x); }
INLINE vf v_choose(mask m, vf a, vf b) { return (vf)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
INLINE vi v_choose_int(mask m, vi a, vi b) { return (vi)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
INLINE mask v_less(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE mask v_less_equal(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
INLINE mask v_equal(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE mask v_less_int(vi a, vi b) { return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b); }
INLINE mask v_less_equal_int(vi a, vi b) { return _mm512_cmple_epi32_mask((__m512i)a, (__m512i)b); }
INLINE mask v_equal_int(vi a, vi b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE mask v_constant_mask(int x) { return x ? (mask)0xffff : (mask)0; }
INLINE mask v_not(mask a) { return (mask)~a; }
INLINE int v_any(mask a) { return a != 0; }
#else
typedef vi mask;
#if defined(__AVX2__)
/* The lanes as a mask, and how many they are: loads take the former, as it is cheap, stores branch. */
typedef struct { vi mask; int64_t count; } lanes;
INLINE lanes v_lanes(int64_t left) {
  const vi places = {0, 1, 2, 3, 4, 5, 6, 7};
  return (lanes){places < v_integer(left >= LANES ? LANES : (int32_t)left), left >= LANES ? LANES : left};
}
INLINE int v_is_full(lanes n) { return __builtin_constant_p(n.count) && n.count == LANES; }
INLINE vf v_load(const float *p, lanes n) {
  return v_is_full(n) ? *(const vf *)p : (vf)_mm256_maskload_ps(p, (__m256i)n.mask);
}
INLINE vi v_load_int(const int32_t *p, lanes n) {
  return v_is_full(n) ? *(const vi *)p : (vi)_mm256_maskload_epi32(p, (__m256i)n.mask);
}
INLINE void v_store(float *p, vf x, lanes n) {
  if (n.count == LANES) *(vf *)p = x;
  else _mm256_maskstore_ps(p, (__m256i)n.mask, (__m256)x);
}
INLINE void v_store_int(int32_t *p, vi x, lanes n) {
  if (n.count == LANES) *(vi *)p = x;
  else _mm256_maskstore_epi32(p, (__m256i)n.mask, (__m256i)x);
}
INLINE vf v_choose(mask m, vf a, vf b) { return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
INLINE vi v_choose_int(mask m, vi a, vi b) { return (vi)v_choose(m, (vf)a, (vf)b); }
INLINE vf v_first(vf x, lanes n, vf rest) { return v_is_full(n) ? x : v_choose(n.mask, x, rest); }
INLINE int v_any(mask a) { return _mm256_movemask_ps((__m256)a) != 0; }
#else
typedef int lanes;
INLINE lanes v_lanes(int64_t left) { return left >= LANES ? LANES : (lanes)left; }
INLINE vf v_load(const float *p, lanes n) {
  if (n == LANES) return *(const vf *)p;
  vf x = {0};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}
INLINE vi v_load_int(const int32_t *p, lanes n) {
  if (n == LANES) return *(const vi *)p;
  vi x = {0};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}
INLINE void v_store(float *p, vf x, lanes n) {
  if (n == LANES) *(vf *)p = x;
  else for (int i = 0; i < n; i++) p[i] = x[i];
}
INLINE void v_store_int(int32_t *p, vi x, lanes n) {
  if (n == LANES) *(vi *)p = x;
  else for (int i = 0; i < n; i++) p[i] = x[i];
}
INLINE vf v_first(vf x, lanes n, vf rest) {
  if (n == LANES) return x;
  for (int i = n; i < LANES; i++) x[i] = rest[i];
  return x;
}
INLINE vf v_choose(mask m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }
INLINE vi v_choose_int(mask m, vi a, vi b) { return (m & a) | (~m & b); }
INLINE int v_any(mask a) {
  int32_t all = 0;
  for (int i = 0; i < LANES; i++) all |= a[i];
  return all != 0;
}
#endif
INLINE mask v_less(vf a, vf b) { return a < b; }
INLINE mask v_less_equal(vf a, vf b) { return a <= b; }
INLINE mask v_equal(vf a, vf b) { return a == b; }
INLINE mask v_less_int(vi a, vi b) { return a < b; }
INLINE mask v_less_equal_int(vi a, vi b) { return a <= b; }
INLINE mask v_equal_int(vi a, vi b) { return a == b; }
INLINE mask v_constant_mask(int x) { return v_integer(x ? -1 : 0); }
INLINE mask v_not(mask a) { return ~a; }
#endif
INLINE mask v_both(mask a, mask b) { return a & b; }
INLINE mask v_either(mask a, mask b) { return a | b; }

/* Every lane of its own: elements that are apart, and functions that no vector has. */
INLINE vf v_load_apart(const float *p, int64_t stride, int64_t left) {
  vf x = {0};
  for (int i = 0; i < LANES; i++) if (i < left) x[i] = p[i * stride];
  return x;
}
INLINE vi v_load_int_apart(const int32_t *p, int64_t stride, int64_t left) {
  vi x = {0};
  for (int i = 0; i < LANES; i++) if (i < left) x[i] = p[i * stride];
  return x;
}
INLINE void v_store_apart(float *p, int64_t stride, vf x, int64_t left) {
  for (int i = 0; i < LANES; i++) if (i < left) p[i * stride] = x[i];
}
INLINE void v_store_int_apart(int32_t *p, int64_t stride, vi x, int64_t left) {
  for (int i = 0; i < LANES; i++) if (i < left) p[i * stride] = x[i];
}
INLINE mask v_load_mask(const int32_t *p, lanes n) { return v_not(v_equal_int(v_load_int(p, n), v_integer(0))); }
INLINE mask v_load_mask_apart(const int32_t *p, int64_t stride, int64_t left) {
  return v_not(v_equal_int(v_load_int_apart(p, stride, left), v_integer(0)));
}
INLINE void v_store_mask(int32_t *p, mask x, lanes n) {
  v_store_int(p, v_choose_int(x, v_integer(1), v_integer(0)), n);
}
INLINE void v_store_mask_apart(int32_t *p, int64_t stride, mask x, int64_t left) {
  v_store_int_apart(p, stride, v_choose_int(x, v_integer(1), v_integer(0)), left);
}

#if defined(__AVX512F__)
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf v_at_most(vf a, vf limit) { return (vf)_mm512_min_ps((__m512)limit, (__m512)a); }
INLINE vf v_at_least(vf a, vf limit) { return (vf)_mm512_max_ps((__m512)limit, (__m512)a); }
INLINE vf v_floor(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf v_sqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
#elif defined(__AVX2__) && defined(__FMA__)
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf v_at_most(vf a, vf limit) { return (vf)_mm256_min_ps((__m256)limit, (__m256)a); }
INLINE vf v_at_least(vf a, vf limit) { return (vf)_mm256_max_ps((__m256)limit, (__m256)a); }
INLINE vf v_floor(vf a) { return (vf)_mm256_floor_ps((__m256)a); }
INLINE vf v_sqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
#else
#if defined(__aarch64__)
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; }
#endif
INLINE vf v_at_most(vf a, vf limit) { return v_choose(v_less(limit, a), limit, a); }
INLINE vf v_at_least(vf a, vf limit) { return v_choose(v_less(a, limit), limit, a); }
/* Through integers, so that no library is needed; from 2^23 on every float is whole. */
INLINE vf v_floor(vf a) {
  const vi sign = v_integer((int32_t)0x80000000);
  const mask small = v_less((vf)((vi)a & ~sign), v_number(8388608.0f));
  const vf near = __builtin_convertvector(__builtin_convertvector(v_choose(small, a, v_number(0)), vi), vf);
  const vf below = v_choose(v_less(a, near), near - v_number(1), near);
  return v_choose(small, (vf)((vi)below | ((vi)a & sign)), a);
}
/* The instruction of the target; or Newton's method, from half of the exponent. */
INLINE float square_root(float x) {
#if defined(__SSE2__)
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
#elif defined(__aarch64__)
  return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0);
#elif defined(__ARM_FP) && (__ARM_FP & 4)
  float root;
  __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
  return root;
#else
  if (!(x > 0) || x > 3.4028234663852886e38f) return x == 0 || x > 0 ? x : (x - x) / (x - x);
  const float up = x < 1.1754943508222875e-38f ? 16777216.0f : 1.0f, scaled = x * up;
  int32_t bits;
  memcpy(&bits, &scaled, sizeof bits);
  bits = 0x1fbd1df5 + (bits >> 1);
  float root;
  memcpy(&root, &bits, sizeof root);
  for (int i = 0; i < 4; i++) root = 0.5f * (root + scaled / root);
  return up == 1.0f ? root : root * (1.0f / 4096.0f);
#endif
}
INLINE vf v_sqrt(vf a) {
  for (int i = 0; i < LANES; i++) a[i] = square_root(a[i]);
  return a;
}
#endif
`;

/** Elementwise operations whose special values are those of docs/numbers.md. */
export const OPERATIONS = `/* Elementwise operations with the special values that all backends have. */
INLINE vf v_sign_of(vf x, vf of) {
  const vi sign = v_integer((int32_t)0x80000000);
  return (vf)(((vi)x & ~sign) | ((vi)of & sign));
}
INLINE vf v_abs(vf x) { return (vf)((vi)x & v_integer(0x7fffffff)); }
INLINE vi v_abs_int(vi x) { return v_choose_int(v_less_int(x, v_integer(0)), -x, x); }
/* NaN and zeros stay as they are. */
INLINE vf v_sign(vf x) { return v_choose(v_less(v_number(0), v_abs(x)), v_sign_of(v_number(1), x), x); }
INLINE vi v_sign_int(vi x) {
  const vi positive = v_choose_int(v_less_int(v_integer(0), x), v_integer(1), v_integer(0));
  return v_choose_int(v_less_int(x, v_integer(0)), v_integer(-1), positive);
}
/* NaN where either is; of two zeros the positive one is larger. */
INLINE vf v_maximum(vf a, vf b) {
  const vf other = v_choose(v_equal(a, a), b, a);
  const vf equal = v_choose(v_equal(a, b), (vf)((vi)a & (vi)b), other);
  return v_choose(v_less(b, a), a, equal);
}
INLINE vf v_minimum(vf a, vf b) {
  const vf other = v_choose(v_equal(a, a), b, a);
  const vf equal = v_choose(v_equal(a, b), (vf)((vi)a | (vi)b), other);
  return v_choose(v_less(a, b), a, equal);
}
INLINE vi v_maximum_int(vi a, vi b) { return v_choose_int(v_less_int(a, b), b, a); }
INLINE vi v_minimum_int(vi a, vi b) { return v_choose_int(v_less_int(a, b), a, b); }
/* Towards zero; by 0 it is 0, and the least integer by -1 wraps. */
INLINE vi v_divide_int(vi a, vi b) {
  for (int i = 0; i < LANES; i++) a[i] = b[i] == 0 ? 0 : b[i] == -1 ? -a[i] : a[i] / b[i];
  return a;
}
/* Towards zero, the nearest end beyond the range; NaN is 0. */
INLINE vi v_to_int(vf x) {
  const vf end = v_number(2147483648.0f);
  const mask inside = v_both(v_less_equal(-end, x), v_less(x, end));
  const vi rounded = __builtin_convertvector(v_choose(inside, x, v_number(0)), vi);
  const vi above = v_choose_int(v_less_equal(end, x), v_integer(0x7fffffff), rounded);
  return v_choose_int(v_less(x, -end), v_integer((int32_t)0x80000000), above);
}
INLINE vf v_to_float(vi x) { return __builtin_convertvector(x, vf); }
INLINE mask v_same(mask a, mask b) { return v_either(v_both(a, b), v_not(v_either(a, b))); }
INLINE mask v_choose_mask(mask m, mask a, mask b) { return v_either(v_both(m, a), v_both(v_not(m), b)); }
INLINE vd v_wide(vf x) { return __builtin_convertvector(x, vd); }
INLINE vf v_narrow(vd x) { return __builtin_convertvector(x, vf); }
`;
