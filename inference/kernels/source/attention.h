// Attention of a few queries that share one key/value head of one slot.
//
// Queries of a group (grouped-query attention) and of neighbouring tokens go through the cache together, so each key and
// value is read once for all of them. Three passes: scores, softmax, weighted values. As in the products, each query's
// sums run in the order of the positions whatever is computed beside it.
#pragma once
#include "cache.h"

constexpr int QUERIES_AT_ONCE = 12;

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
    Floats sums[QUERIES][BLOCKS] = {};
    for (int pair = 0; pair < head_size / 2; pair++)
        for (int b = 0; b < BLOCKS; b++) {
            const Words values = load<Words>(keys + (block + b) * block_elements + pair * 2 * LANES);
            for (int q = 0; q < QUERIES; q++) sums[q][b] = dot_pairs(sums[q][b], values, queries[q].pairs[pair]);
        }
    for (int q = 0; q < QUERIES; q++)
        for (int b = 0; b < BLOCKS; b++) store(queries[q].scores + (into + b) * LANES, sums[q][b] * scale);
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

template <int QUERIES, int PARTS>
INLINE void weigh(const Query* queries, const float* inverse, const uint16_t* values, int head_size, int base, int first_pair,
                  int end_pair, int part) {
    Floats sums[QUERIES][PARTS] = {};
    for (int pair = first_pair; pair < end_pair; pair++) {
        const uint16_t* row = values + size_t(pair) * 2 * head_size + part * 2 * LANES;
        Words vectors[PARTS];
        for (int p = 0; p < PARTS; p++) vectors[p] = load<Words>(row + p * 2 * LANES);
        for (int q = 0; q < QUERIES; q++) {
            const uint32_t chances = load<uint32_t>(queries[q].chances + 2 * pair - base);
            for (int p = 0; p < PARTS; p++) sums[q][p] = dot_pairs(sums[q][p], vectors[p], chances);
        }
    }
    for (int q = 0; q < QUERIES; q++)
        for (int p = 0; p < PARTS; p++) store(queries[q].out + (part + p) * LANES, sums[q][p] * inverse[q]);
}

template <int QUERIES>
INLINE void weigh_all(const Query* queries, const float* inverse, const uint16_t* values, int head_size, int base, int first_pair,
                      int end_pair) {
    int part = 0;
    for (; part + 4 <= head_size / LANES; part += 4)
        weigh<QUERIES, 4>(queries, inverse, values, head_size, base, first_pair, end_pair, part);
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
    for (; q + 6 <= count; q += 6) score_all<6, 1>(queries + q, keys, head_size, first_block, end_block, scale);
    for (; q + 3 <= count; q += 3) score_all<3, 2>(queries + q, keys, head_size, first_block, end_block, scale);
    for (; q < count; q++) score_all<1, 4>(queries + q, keys, head_size, first_block, end_block, scale);
    for (q = 0; q < count; q++) inverse[q] = soften(queries[q], first_block, end_block);
    const int base = first_block * LANES, first_pair = first / 2, end_pair = (end + 1) / 2;
    q = 0;
    for (; q + 6 <= count; q += 6) weigh_all<6>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
    for (; q + 3 <= count; q += 3) weigh_all<3>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
    for (; q < count; q++) weigh_all<1>(queries + q, inverse + q, values, head_size, base, first_pair, end_pair);
}
