// Matrix products with packed weights.
//
// A weight matrix [outputs][inputs] is cut into tiles of 16 outputs, so that one vector holds one input (or four bytes,
// or a pair of bfloat16) of each of them, and an activation is broadcast. Each row's sum runs over the inputs in the same
// order however many rows there are: a reply does not depend on what else is in the batch, to the last bit.
//
// A tile of 4-bit weights: for each group of 32 inputs 16 scales and 16 minima in float16, then for each group 256 bytes;
// of each byte the low half belongs to inputs 0..15 of the group, the high half to 16..31. This is GGUF's Q4_1, reordered.
// A tile of 8-bit weights: 16 scales a group, then for each group 512 bytes, shifted by 128 to be unsigned.
#pragma once
#include "activations.h"
#include "threads.h"

constexpr int TILE = LANES;
// 8 integer sums, 8 float sums and 8 vectors of weights fit into 32 registers; into 16, the sums of 4 rows in two parts.
constexpr int ROWS_AT_ONCE = REGISTERS == 32 ? 8 : 4;

struct Linear {
    Format format = FOUR_BIT;
    int outputs = 0, inputs = 0, tiles = 0, groups = 0;
    size_t tile_bytes = 0;
    uint8_t* data = nullptr;
    float* bias = nullptr;  // [tiles * 16], or none

    void shape(Format wanted, int rows, int columns, Arena& arena) {
        format = wanted;
        outputs = rows;
        inputs = columns;
        tiles = (rows + TILE - 1) / TILE;
        groups = columns / GROUP;
        const size_t group_bytes = format == FOUR_BIT ? 64 + 256 : format == EIGHT_BIT ? 32 + 512 : 1024;
        tile_bytes = (groups * group_bytes + 63) / 64 * 64;
        data = arena.take(tiles * tile_bytes);
    }
    uint8_t* tile(int index) const { return data + index * tile_bytes; }
    size_t head_bytes() const {
        const size_t bytes = format == FOUR_BIT ? 64 : format == EIGHT_BIT ? 32 : 0;
        return (groups * bytes + 63) / 64 * 64;
    }
    void shape_bias(Arena& arena) { bias = reinterpret_cast<float*>(arena.take(size_t(tiles) * TILE * sizeof(float))); }
};

// The processor's own prefetching is too timid for one row, which waits for nothing but memory.
INLINE void fetch_ahead(const uint8_t* from, int bytes) {
    constexpr int DISTANCE = 8192;
    for (int line = 0; line < bytes; line += 64) __builtin_prefetch(from + DISTANCE + line);
}

// 32 products of a group: eight times four bytes of `parts` with a row's 32 bytes.
INLINE Sum dot_group(SumInts sum, const SumWords* parts, const int8_t* bytes) {
    UNROLL for (int i = 0; i < 8; i++) dot_bytes(sum, parts[i], load<uint32_t>(bytes + 4 * i));
    return to_floats(sum);
}

template <int ROWS> INLINE void four_bit_tile(const Linear& weights, int tile, const Activations& x, size_t row, Floats* out) {
    const uint16_t* head = (const uint16_t*)weights.tile(tile);
    const uint8_t* body = weights.tile(tile) + weights.head_bytes();
    Sum totals[ROWS] = {};
    for (int group = 0; group < weights.groups; group++) {
        const Sum scale = halves_to_floats(head + group * 32), minimum = halves_to_floats(head + group * 32 + 16);
        SumWords parts[8];
        fetch_ahead(body + group * 256, 256);
        UNROLL for (int i = 0; i < 4; i++) {
            const SumWords both = load_parts<PartWords>(body + group * 256 + i * 64);
            UNROLL for (int p = 0; p < PARTS; p++) {
                parts[i].parts[p] = both.parts[p] & 0x0f0f0f0fu;
                parts[i + 4].parts[p] = both.parts[p] >> 4 & 0x0f0f0f0fu;
            }
        }
        UNROLL for (int r = 0; r < ROWS; r++) {
            const Sum sum = dot_group({}, parts, x.bytes + (row + r) * x.width + group * GROUP);
            const size_t at = (row + r) * x.groups + group;
            accumulate(totals[r], sum, scaled(scale, x.scales[at]));
            accumulate(totals[r], minimum, spread(x.sums[at]));
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) store_parts(out + r, totals[r]);
}

template <int ROWS> INLINE void eight_bit_tile(const Linear& weights, int tile, const Activations& x, size_t row, Floats* out) {
    const uint16_t* head = (const uint16_t*)weights.tile(tile);
    const uint8_t* body = weights.tile(tile) + weights.head_bytes();
    Sum totals[ROWS] = {};
    for (int group = 0; group < weights.groups; group++) {
        const Sum scale = halves_to_floats(head + group * 16);
        SumWords parts[8];
        fetch_ahead(body + group * 512, 512);
        UNROLL for (int i = 0; i < 8; i++) parts[i] = load_parts<PartWords>(body + group * 512 + i * 64);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const size_t at = (row + r) * x.groups + group;
            const Sum sum = dot_group(spread(x.offsets[at]), parts, x.bytes + (row + r) * x.width + group * GROUP);
            accumulate(totals[r], sum, scaled(scale, x.scales[at]));
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) store_parts(out + r, totals[r]);
}

template <int ROWS> INLINE void bfloat16_tile(const Linear& weights, int tile, const Activations& x, size_t row, Floats* out) {
    const uint8_t* body = weights.tile(tile);
    Sum totals[ROWS] = {};
    for (int pair = 0; pair < weights.inputs / 2; pair++) {
        const SumWords values = load_parts<PartWords>(body + pair * 64);
        UNROLL for (int r = 0; r < ROWS; r++)
            dot_pairs(totals[r], values, load<uint32_t>(x.halves + (row + r) * x.width + 2 * pair));
    }
    UNROLL for (int r = 0; r < ROWS; r++) store_parts(out + r, totals[r]);
}

template <int ROWS> void tile_product(const Linear& weights, int tile, const Activations& x, size_t row, Floats* out) {
    if (weights.format == FOUR_BIT) four_bit_tile<ROWS>(weights, tile, x, row, out);
    else if (weights.format == EIGHT_BIT) eight_bit_tile<ROWS>(weights, tile, x, row, out);
    else bfloat16_tile<ROWS>(weights, tile, x, row, out);
    if (weights.bias)
        for (int r = 0; r < ROWS; r++) out[r] += load<Floats>(weights.bias + tile * TILE);
}

// 16 outputs of `rows` (at most 8) rows.
INLINE void tile_rows(const Linear& weights, int tile, const Activations& x, size_t row, int rows, Floats* out) {
    switch (rows) {
        case 8: return tile_product<8>(weights, tile, x, row, out);
        case 7: return tile_product<7>(weights, tile, x, row, out);
        case 6: return tile_product<6>(weights, tile, x, row, out);
        case 5: return tile_product<5>(weights, tile, x, row, out);
        case 4: return tile_product<4>(weights, tile, x, row, out);
        case 3: return tile_product<3>(weights, tile, x, row, out);
        case 2: return tile_product<2>(weights, tile, x, row, out);
        default: return tile_product<1>(weights, tile, x, row, out);
    }
}

// Shares units 0..count-1 among the threads in runs that are long enough to stream and short enough to balance.
template <class Work> void share(Threads& threads, int count, const Work& work) {
    const int length = (count + threads.count() * 8 - 1) / (threads.count() * 8);
    threads.run((count + length - 1) / length, [&](int chunk, int thread) {
        const int end = (chunk + 1) * length;
        for (int unit = chunk * length; unit < end && unit < count; unit++) work(unit, thread);
    });
}

// take(tile, row, sums) receives tiles first..last-1, of 16 outputs each, of every row.
template <class Take>
void multiply(Threads& threads, const Linear& weights, const Activations& x, int rows, int first, int last, const Take& take) {
    share(threads, last - first, [&](int unit, int) {
        const int tile = first + unit;
        for (int row = 0; row < rows; row += ROWS_AT_ONCE) {
            const int some = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
            Floats sums[ROWS_AT_ONCE];
            tile_rows(weights, tile, x, row, some, sums);
            for (int r = 0; r < some; r++) take(tile, row + r, sums[r]);
        }
    });
}
