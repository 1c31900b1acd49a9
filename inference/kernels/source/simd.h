// Vectors of 64 bytes, and the few operations on them that compilers do not find by themselves.
//
// The inner loops of products and attention hold their sums in `Sum`s instead: the same 16 lanes as the processor's own
// registers have them, two with AVX2. There GCC keeps vectors wider than a register in memory, which is six times slower.
//
// GCC's vector extensions turn plain arithmetic into AVX-512, AVX2, NEON or scalar code. Only the dot products of small
// numbers need an instruction by name; each has a version for every instruction set, and all give the same result for
// integers. Which version is built is decided by the compiler's flags (see build.py), not at run time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))
// An array of vectors lives in registers only where every loop over it is unrolled; GCC by itself is too thrifty for that.
#define UNROLL _Pragma("GCC unroll 8")

constexpr int LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int8_t SmallBytes __attribute__((vector_size(16)));

template <class Vector> INLINE Vector load(const void* from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class Vector> INLINE void store(void* to, Vector value) { std::memcpy(to, &value, sizeof value); }

INLINE Floats splat(float value) { return value - Floats{}; }
INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// The registers of this processor, and how many there are.
#if defined(__AVX512F__)
constexpr int REGISTER_BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int REGISTER_BYTES = 32, REGISTERS = 16;
#else
constexpr int REGISTER_BYTES = 16, REGISTERS = 16;
#endif
constexpr int PARTS = 64 / REGISTER_BYTES;
typedef float PartFloats __attribute__((vector_size(REGISTER_BYTES)));
typedef int32_t PartInts __attribute__((vector_size(REGISTER_BYTES)));
typedef uint32_t PartWords __attribute__((vector_size(REGISTER_BYTES)));
template <class Part> struct Parted {
    Part parts[PARTS];
};
typedef Parted<PartFloats> Sum;
typedef Parted<PartInts> SumInts;
typedef Parted<PartWords> SumWords;

// Part by part: as one block of 64 bytes GCC would copy it through memory in pieces of 16.
template <class Part> INLINE Parted<Part> load_parts(const void* from) {
    Parted<Part> value;
    UNROLL for (int i = 0; i < PARTS; i++) value.parts[i] = load<Part>((const char*)from + i * REGISTER_BYTES);
    return value;
}
template <class Part> INLINE void store_parts(void* to, const Parted<Part>& value) {
    UNROLL for (int i = 0; i < PARTS; i++) store((char*)to + i * REGISTER_BYTES, value.parts[i]);
}

// a * b + c. The build turns the compiler's own choice of fused products off: it differs from one place to another, and
// with it the last bit of a reply.
INLINE PartFloats fused(PartFloats a, PartFloats b, PartFloats c) {
#if defined(__AVX512F__)
    return (PartFloats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (PartFloats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}
INLINE Floats multiply_add(Floats a, Floats b, Floats c) {
    const Sum x = load_parts<PartFloats>(&a), y = load_parts<PartFloats>(&b), z = load_parts<PartFloats>(&c);
    UNROLL for (int i = 0; i < PARTS; i++) store((char*)&c + i * REGISTER_BYTES, fused(x.parts[i], y.parts[i], z.parts[i]));
    return c;
}

INLINE float reduce_max(Floats value) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)value);
#else
    float largest = value[0];
    for (int i = 1; i < LANES; i++) largest = value[i] > largest ? value[i] : largest;
    return largest;
#endif
}

INLINE float reduce_add(Floats value) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)value);
#else
    float sums[8];
    for (int i = 0; i < 8; i++) sums[i] = value[i] + value[i + 8];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
#endif
}

INLINE float half_to_float(uint16_t half) {
    uint32_t sign = uint32_t(half & 0x8000) << 16, magnitude = half & 0x7fff, bits;
    if (magnitude >= 0x7c00) {
        bits = sign | 0x7f800000 | (magnitude & 0x3ff) << 13;
    } else if (magnitude >= 0x400) {
        bits = sign | ((magnitude << 13) + 0x38000000);
    } else {  // subnormal: the value is magnitude * 2^-24, exact in float32
        float small = float(magnitude) * 5.9604644775390625e-8f;
        std::memcpy(&bits, &small, 4);
        bits |= sign;
    }
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

INLINE Sum halves_to_floats(const uint16_t* from) {
    Sum value;
    UNROLL for (int i = 0; i < PARTS; i++) {
#if defined(__AVX512F__)
        value.parts[i] = (PartFloats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__F16C__)
        value.parts[i] = (PartFloats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from + i));
#else
        const int lanes = REGISTER_BYTES / 4;
        for (int lane = 0; lane < lanes; lane++) value.parts[i][lane] = half_to_float(from[i * lanes + lane]);
#endif
    }
    return value;
}

// bfloat16 is the upper half of a float32; rounded to nearest, ties to even. NaN stays NaN.
INLINE uint16_t to_bfloat16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
INLINE float from_bfloat16(uint16_t half) {
    uint32_t bits = uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
// 16 floats to 16 adjacent bfloat16.
INLINE void store_bfloat16(uint16_t* to, Floats value) {
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh((__m512)value));
#else
    for (int i = 0; i < LANES; i++) to[i] = to_bfloat16(value[i]);
#endif
}

// The empty assembly hides where the lanes come from: GCC would split each number before it is spread, at twice the price.
INLINE PartWords broadcast(uint32_t x) {
    PartWords all = x - PartWords{};
#if defined(__AVX2__) && !defined(__AVX512F__)
    asm("" : "+x"(all));
#endif
    return all;
}

// Each lane: sum += four unsigned bytes of `weights` times the four signed bytes of `x`. Exact.
INLINE void dot_bytes(SumInts& sum, const SumWords& weights, uint32_t x) {
    const PartWords all = broadcast(x);
    UNROLL for (int i = 0; i < PARTS; i++) {
#if defined(__AVX512VNNI__)
        sum.parts[i] = (PartInts)_mm512_dpbusd_epi32((__m512i)sum.parts[i], (__m512i)weights.parts[i], (__m512i)all);
#elif defined(__AVX512BW__)
        // maddubs would saturate on bytes above 127, so even and odd bytes are widened to 16 bits and multiplied apart.
        const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16((__m512i)all, 8), 8), odd = _mm512_srai_epi16((__m512i)all, 8);
        const __m512i low = _mm512_and_si512((__m512i)weights.parts[i], _mm512_set1_epi16(255));
        const __m512i high = _mm512_srli_epi16((__m512i)weights.parts[i], 8);
        sum.parts[i] += (PartInts)_mm512_madd_epi16(low, even) + (PartInts)_mm512_madd_epi16(high, odd);
#elif defined(__AVX2__) && !defined(__AVX512F__)  // the same in halves
        const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16((__m256i)all, 8), 8), odd = _mm256_srai_epi16((__m256i)all, 8);
        const __m256i low = _mm256_and_si256((__m256i)weights.parts[i], _mm256_set1_epi16(255));
        const __m256i high = _mm256_srli_epi16((__m256i)weights.parts[i], 8);
        sum.parts[i] += (PartInts)_mm256_madd_epi16(low, even) + (PartInts)_mm256_madd_epi16(high, odd);
#else
        for (unsigned lane = 0; lane < REGISTER_BYTES / 4; lane++)
            for (int j = 0; j < 4; j++)
                sum.parts[i][lane] += int(weights.parts[i][lane] >> 8 * j & 255) * int8_t(x >> 8 * j);
#endif
    }
}

// Each lane: sum += two bfloat16 of `pairs` times the two bfloat16 of `x`.
INLINE void dot_pairs(Sum& sum, const SumWords& pairs, uint32_t x) {
#if defined(__AVX512BF16__)
    sum.parts[0] = (PartFloats)_mm512_dpbf16_ps((__m512)sum.parts[0], (__m512bh)pairs.parts[0], (__m512bh)_mm512_set1_epi32(int(x)));
#else
    const PartWords both = broadcast(x);
    UNROLL for (int i = 0; i < PARTS; i++) {
        sum.parts[i] = fused((PartFloats)(pairs.parts[i] << 16), (PartFloats)(both << 16), sum.parts[i]);
        sum.parts[i] = fused((PartFloats)(pairs.parts[i] & 0xffff0000u), (PartFloats)(both & 0xffff0000u), sum.parts[i]);
    }
#endif
}

INLINE Sum scaled(Sum sum, float by) {
    UNROLL for (int i = 0; i < PARTS; i++) sum.parts[i] *= by;
    return sum;
}
INLINE Sum to_floats(const SumInts& value) {
    Sum floats;
    UNROLL for (int i = 0; i < PARTS; i++) floats.parts[i] = __builtin_convertvector(value.parts[i], PartFloats);
    return floats;
}
INLINE Sum spread(float value) {
    Sum sum;
    UNROLL for (int i = 0; i < PARTS; i++) sum.parts[i] = value - PartFloats{};
    return sum;
}
INLINE SumInts spread(int32_t value) {
    SumInts sum;
    UNROLL for (int i = 0; i < PARTS; i++) sum.parts[i] = value - PartInts{};
    return sum;
}
// sum += a * b, lane by lane.
INLINE void accumulate(Sum& sum, const Sum& a, const Sum& b) {
    UNROLL for (int i = 0; i < PARTS; i++) sum.parts[i] = fused(a.parts[i], b.parts[i], sum.parts[i]);
}

// e^x to about 2 units in the last place; 0 below -87, and x above 88 counts as 88.
INLINE Floats exponential(Floats x) {
    const Floats wanted = x;
    x = x > 88.0f ? splat(88.0f) : x;
    x = x < -87.0f ? splat(-87.0f) : x;
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
    const Floats shifted = multiply_add(x, splat(1.44269504088896341f), splat(magic)), n = shifted - magic;
    const Floats r = multiply_add(n, splat(2.12194440e-4f), multiply_add(n, splat(-0.693359375f), x));
    Floats p = splat(1.9875691500e-4f);
    for (float next : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        p = multiply_add(p, r, splat(next));
    p = multiply_add(p * r, r, r) + 1.0f;
    Floats scaled = p * (Floats)(((Ints)shifted + 127) << 23);
    return wanted < -87.0f ? Floats{} : scaled;
}
