// Attention of a few queries that share one key/value head of one slot.
//
// Queries of a group (grouped-query attention) and of neighbouring tokens go through the cache together, so each key and
// value is read once for all of them. Three passes: scores, softmax, weighted values. As in the products, each query's
// sums run in the order of the positions whatever is computed beside it.
#pragma once
#include "cache.h"

constexpr int QUERIES_AT_ONCE = 12;
// How many sums go together is what the registers hold.
constexpr bool IS_WIDE = REGISTERS == 32;
constexpr int MANY = IS_WIDE ? 6 : 4;

struct Query {
    const uint32_t* pairs;  // [head_size / 2] pairs of bfloat16
    int first, end;         // the positions it may see: [first, end)
    float* scores;          // scratch, [blocks * 16], from the first block of the call on
    uint16_t* chances;      // scratch, the same in bfloat16
    float* out;             // [head_size]
};

template <int QUERIES, int BLOCKS>
INLINE void score(const Query* queries, const uint16_t* keys, int head_size, size_t block, size_t into, float scale) {
    const size_t block_elements = size_t(LANES) * head_size;
    Sum sums[QUERIES][BLOCKS] = {};
    for (int pair = 0; pair < head_size / 2; pair++)
        UNROLL for (int b = 0; b < BLOCKS; b++) {
            const SumWords values = load_parts<PartWords>(keys + (block + b) * block_elements + pair * 2 * LANES);
            UNROLL for (int q = 0; q < QUERIES; q++) dot_pairs(sums[q][b], values, queries[q].pairs[pair]);
        }
    for (int q = 0; q < QUERIES; q++)
        for (int b = 0; b < BLOCKS; b++) store_parts(queries[q].scores + (into + b) * LANES, scaled(sums[q][b], scale));
}

template <int QUERIES, int BLOCKS>
INLINE void score_all(const Query* queries, const uint16_t* keys, int head_size, int first, int end, float scale) {
    int block = first;
    for (; block + BLOCKS <= end; block += BLOCKS) score<QUERIES, BLOCKS>(queries, keys, head_size, block, block - first, scale);
    for (; block < end; block++) score<QUERIES, 1>(queries, keys, head_size, block, block - first, scale);
}

// Turns a query's scores into bfloat16 weights, not yet divided by their sum; returns one over the sum.
INLINE float soften(const Query& query, int first_block, int end_block) {
    const int base = first_block * LANES;
    for (int position = base; position < query.first; position++) query.scores[position - base] = -__builtin_inff();
    for (int position = query.end; position < end_block * LANES; position++) query.scores[position - base] = -__builtin_inff();
    const int blocks = end_block - first_block;
    Floats largest = splat(-__builtin_inff());
    for (int b = 0; b < blocks; b++) largest = larger(largest, load<Floats>(query.scores + b * LANES));
    const float top = reduce_max(largest);
    Floats total = {};
    for (int b = 0; b < blocks; b++) {
        const Floats chance = exponential(load<Floats>(query.scores + b * LANES) - top);
        total += chance;
        store_bfloat16(query.chances + b * LANES, chance);
    }
    return 1.0f / reduce_add(total);
}

template <int QUERIES, int COLUMNS>
INLINE void weigh(const Query* queries, const float* inverse, const uint16_t* values, int head_size, int base, int first_pair,
                  int end_pair, int part) {
    Sum sums[QUERIES][COLUMNS] = {};
    for (int pair = first_pair; pair < end_pair; pair++) {
        const uint16_t* row = values + size_t(pair) * 2 * head_size + part * 2 * LANES;
        SumWords vectors[COLUMNS];
        UNROLL for (int c = 0; c < COLUMNS; c++) vectors[c] = load_parts<PartWords>(row + c * 2 * LANES);
        UNROLL for (int q = 0; q < QUERIES; q++) {
            const uint32_t chances = load<uint32_t>(queries[q].chances + 2 * pair - base);
            UNROLL for (int c = 0; c < COLUMNS; c++) dot_pairs(sums[q][c], vectors[c], chances);
        }
    }
    for (int q = 0; q < QUERIES; q++)
        for (int c = 0; c < COLUMNS; c++) store_parts(queries[q].out + (part + c) * LANES, scaled(sums[q][c], inverse[q]));
}

template <int QUERIES, int COLUMNS>
INLINE void weigh_all(const Query* queries, const float* inverse, const uint16_t* values, int head_size, int base, int first_pair,
                      int end_pair) {
    int part = 0;
    for (; part + COLUMNS <= head_size / LANES; part += COLUMNS)
        weigh<QUERIES, COLUMNS>(queries, inverse, values, head_size, base, first_pair, end_pair, part);
    for (; part < head_size / LANES; part++)
        weigh<QUERIES, 1>(queries, inverse, values, head_size, base, first_pair, end_pair, part);
}

// `count` (at most 12) queries over one head's keys and values.
inline void attend(const Query* queries, int count, const uint16_t* keys, const uint16_t* values, int head_size, float scale) {
    int first = queries[0].first, end = queries[0].end;
    for (int q = 1; q < count; q++) {
        first = queries[q].first < first ? queries[q].first : first;
        end = queries[q].end > end ? queries[q].end : end;
    }
    const int first_block = first / LANES, end_block = (end + LANES - 1) / LANES;
    float inverse[QUERIES_AT_ONCE];
    int q = 0;
    for (; q + MANY <= count; q += MANY) score_all<MANY, 1>(queries + q, keys, head_size, first_block, end_block, scale);
    for (; q + 3 <= count; q += 3) score_all<3, IS_WIDE ? 2 : 1>(queries + q, keys, head_size, first_block, end_block, scale);
    for (; q < count; q++) score_all<1, 4>(queries + q, keys, head_size, first_block, end_block, scale);
    for (q = 0; q < count; q++) inverse[q] = soften(queries[q], first_block, end_block);
    const int base = first_block * LANES, first_pair = first / 2, end_pair = (end + 1) / 2;
    q = 0;
    for (; q + MANY <= count; q += MANY) weigh_all<MANY, IS_WIDE ? 4 : 1>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
    for (; q + 3 <= count; q += 3) weigh_all<3, IS_WIDE ? 4 : 1>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
    for (; q < count; q++) weigh_all<1, 4>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
}
