/** Names in C for what users name, such as open sizes. */

/** Words that C up to C23 and C++ up to C++23 take, macros that look like names, and names that files of C here have for something else. */
export const RESERVED: readonly string[] = (
  "auto break case char const continue default do double else enum extern float for goto if inline int long " +
  "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while " +
  "asm bool false linux true typeof unix " +
  "alignas alignof constexpr nullptr static_assert thread_local typeof_unqual " +
  "and and_eq bitand bitor catch class co_await co_return co_yield compl concept consteval constinit const_cast " +
  "decltype delete dynamic_cast explicit export friend mutable namespace new noexcept not not_eq operator or or_eq " +
  "private protected public reinterpret_cast requires static_cast template this throw try typeid typename using " +
  "virtual xor xor_eq " +
  "complex errno far I imaginary near noreturn " +
  "vf vi vu vd mask lanes c begin end at float_of memcpy memset add_exactly alone clamped larger least square_root " +
  "together work state"
).split(" ");

const reserved: ReadonlySet<string> = new Set(RESERVED);

/** Macros, types of the standard headers, what compilers reserve, and the functions of vectors. */
const LIKE_RESERVED = /^[A-Z][A-Z0-9_]+$|_t$|^_[_A-Z]|^_mm|^v_/;

/** The nearest identifier that is none of these. */
export function identifierOf(wish: string): string {
  const plain = wish.replace(/\W+/g, "_").replace(/^(\d)/, "_$1");
  return reserved.has(plain) || LIKE_RESERVED.test(plain) ? `${plain}_` : plain;
}
