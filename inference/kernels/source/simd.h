// Vectors of 64 bytes, and the few operations on them that compilers do not find by themselves.
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
typedef uint8_t Bytes __attribute__((vector_size(64)));
typedef int8_t SmallBytes __attribute__((vector_size(16)));

template <class Vector> INLINE Vector load(const void* from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class Vector> INLINE void store(void* to, Vector value) { std::memcpy(to, &value, sizeof value); }

INLINE Floats splat(float value) { return value - Floats{}; }
INLINE Floats to_floats(Ints value) { return __builtin_convertvector(value, Floats); }
INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// a * b + c. The build turns the compiler's own choice of fused products off: it differs from one place to another, and
// with it the last bit of a reply.
INLINE Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    __m256 x[2], y[2], z[2];
    std::memcpy(x, &a, 64);
    std::memcpy(y, &b, 64);
    std::memcpy(z, &c, 64);
    for (int i = 0; i < 2; i++) z[i] = _mm256_fmadd_ps(x[i], y[i], z[i]);
    std::memcpy(&c, z, 64);
    return c;
#else
    return a * b + c;
#endif
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

INLINE Floats halves_to_floats(const uint16_t* from) {
#if defined(__AVX512F__)
    return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#else
    Floats value;
    for (int i = 0; i < LANES; i++) value[i] = half_to_float(from[i]);
    return value;
#endif
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

// Each lane: sum += four unsigned bytes of `weights` times the four signed bytes of `x`. Exact.
INLINE Ints dot_bytes(Ints sum, Bytes weights, int32_t x) {
#if defined(__AVX512VNNI__)
    return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, _mm512_set1_epi32(x));
#elif defined(__AVX2__)
    // maddubs would saturate on bytes above 127, so even and odd bytes are widened to 16 bits and multiplied apart.
    const __m256i all = _mm256_set1_epi32(x);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(all, 8), 8), odd = _mm256_srai_epi16(all, 8);
    __m256i parts[2], sums[2];
    std::memcpy(parts, &weights, 64);
    std::memcpy(sums, &sum, 64);
    for (int i = 0; i < 2; i++) {
        __m256i low = _mm256_and_si256(parts[i], _mm256_set1_epi16(255)), high = _mm256_srli_epi16(parts[i], 8);
        sums[i] = _mm256_add_epi32(sums[i], _mm256_add_epi32(_mm256_madd_epi16(low, even), _mm256_madd_epi16(high, odd)));
    }
    std::memcpy(&sum, sums, 64);
    return sum;
#else
    int8_t bytes[4];
    std::memcpy(bytes, &x, 4);
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++) sum[i] += int(weights[4 * i + j]) * bytes[j];
    return sum;
#endif
}

// Each lane: sum += two bfloat16 of `pairs` times the two bfloat16 of `x`.
INLINE Floats dot_pairs(Floats sum, Words pairs, uint32_t x) {
#if defined(__AVX512BF16__)
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32(int(x)));
#else
    sum = multiply_add((Floats)(pairs << 16), splat(from_bfloat16(uint16_t(x))), sum);
    return multiply_add((Floats)(pairs & 0xffff0000u), splat(from_bfloat16(uint16_t(x >> 16))), sum);
#endif
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
