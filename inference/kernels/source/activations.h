// Rows on their way into a matrix product: 8-bit in groups of 32 with a scale each (for 4- and 8-bit weights),
// or bfloat16 (for bfloat16 weights).
#pragma once
#include "memory.h"
#include "simd.h"

constexpr int GROUP = 32;

enum Format : int { FOUR_BIT = 0, EIGHT_BIT = 1, BFLOAT16 = 2 };

struct Activations {
    int width = 0, groups = 0;
    int8_t* bytes = nullptr;      // [rows][width]
    float* scales = nullptr;      // [rows][groups]
    float* sums = nullptr;        // [rows][groups]: scale * sum of the group's bytes, for the minimum of 4-bit weights
    int32_t* offsets = nullptr;   // [rows][groups]: -128 * sum of bytes, undoes the shift of 8-bit weights to unsigned
    uint16_t* halves = nullptr;   // [rows][width]
    Memory memory;

    void reserve(size_t rows, int columns) {
        width = columns;
        groups = columns / GROUP;
        const size_t numbers = (rows * groups * 4 + 63) / 64 * 64, small = (rows * width + 63) / 64 * 64;
        memory.reserve(3 * numbers + 3 * small);
        scales = memory.as<float>();
        sums = memory.as<float>(numbers);
        offsets = memory.as<int32_t>(2 * numbers);
        bytes = memory.as<int8_t>(3 * numbers);
        halves = memory.as<uint16_t>(3 * numbers + small);
    }

    // Stores 32 floats as group `group` of row `row`.
    INLINE void put(size_t row, int group, const float* x, Format format) {
        const Floats a = load<Floats>(x), b = load<Floats>(x + LANES);
        if (format == BFLOAT16) {
            uint16_t* to = halves + row * width + group * GROUP;
            store_bfloat16(to, a);
            store_bfloat16(to + LANES, b);
            return;
        }
        const float largest = reduce_max(larger(larger(a, -a), larger(b, -b)));
        const float scale = largest / 127.0f, inverse = largest > 0 ? 127.0f / largest : 0.0f;
        const float magic = 12582912.0f;
        const Ints zero = (Ints)splat(magic);
        const Ints p = (Ints)(a * inverse + magic) - zero, q = (Ints)(b * inverse + magic) - zero;
        int8_t* to = bytes + row * width + group * GROUP;
        store(to, __builtin_convertvector(p, SmallBytes));
        store(to + LANES, __builtin_convertvector(q, SmallBytes));
        const Ints both = p + q;
#if defined(__AVX512F__)
        const int sum = _mm512_reduce_add_epi32((__m512i)both);
#else
        int sum = 0;
        for (int i = 0; i < LANES; i++) sum += both[i];
#endif
        const size_t at = row * groups + group;
        scales[at] = scale;
        sums[at] = scale * float(sum);
        offsets[at] = -128 * sum;
    }

    void put_row(size_t row, const float* x, Format format) {
        for (int group = 0; group < groups; group++) put(row, group, x + group * GROUP, format);
    }
};
