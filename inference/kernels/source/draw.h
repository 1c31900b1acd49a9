// Draws a token from a row of logits: inference/sampling.py's `draw`, to the token, without its passes over the row.
//
// Weights are whole numbers (inference/token_weights.py), so they are added up in any order and in int64 here.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <vector>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// Mirrored field by field by inference/kernels/native.py.
struct WeightTables {
    const double *coarse, *fine;
    const int64_t* rough;
    int rough_last, last, shift, bucket_shift;
};

struct Drawing {
    double reach, farthest, top_p, least_weight, chance;
    float best, scale, slope;
    int top_k;
};

// What a draw works in stays as large as it once was.
struct DrawingRoom {
    std::vector<int> ids, distances, members;
    std::vector<int64_t> weights, mass;
    std::vector<float> likeliest;
    std::vector<uint8_t> outside;
};

class Drawer {
  public:
    Drawer(const WeightTables& with, const Drawing& how, const float* logits, int size, DrawingRoom& room)
        : tables(with), wish(how), row(logits), count(size), members(room.members), mass(room.mass), likeliest(room.likeliest) {
        // One more than there can be: what is not kept is written, too, before the next one takes its place.
        ids = sized(room.ids);
        distances = sized(room.distances);
        weights = sized(room.weights);
        outside = sized(room.outside);
    }

    int draw() {
        float bound = float(double(wish.best) - wish.reach);
        int candidates = find(bound);
        if (candidates < wish.top_k) candidates = find(bound = float(double(wish.best) - wish.farthest));
        if (0 < wish.top_k && wish.top_k < candidates) candidates = keep_likeliest(candidates);
        const int64_t weight = weigh(candidates);
        std::fill(outside, outside + candidates, 0);
        if (wish.top_p < 1.0) keep_nucleus(candidates, wish.top_p * double(weight + (wish.top_k > 0 ? 0 : rough_below(bound))));
        int kept = 0;
        for (int i = 0; i < candidates; i++) {
            ids[kept] = ids[i];
            weights[kept] = weights[i];
            kept += (outside[i] == 0) & (double(weights[i]) >= wish.least_weight);
        }
        return ids[place(kept)];
    }

  private:
    static constexpr int BLOCK = 256;

    template <class Item> Item* sized(std::vector<Item>& items) const {
        if (items.size() <= size_t(count)) items.resize(count + 1);
        return items.data();
    }

    // The tokens whose logits reach `bound`.
    int find(float bound) {
        int found = 0, i = 0;
#if defined(__AVX512F__)
        for (__m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); i + 16 <= count; i += 16) {
            const __mmask16 reaches = _mm512_cmp_ps_mask(_mm512_loadu_ps(row + i), _mm512_set1_ps(bound), _CMP_GE_OQ);
            _mm512_mask_compressstoreu_epi32(ids + found, reaches, at);
            found += __builtin_popcount(reaches);
            at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
        }
#endif
        for (; i < count; i++) {
            ids[found] = i;
            found += row[i] >= bound;
        }
        return found;
    }

    // Those of the `top_k` largest logits; among equals, the first.
    int keep_likeliest(int candidates) {
        likeliest.clear();
        for (int i = 0; i < candidates; i++) {  // a heap, whose first is the smallest of the largest so far
            const float logit = row[ids[i]];
            if (int(likeliest.size()) == wish.top_k) {
                if (logit <= likeliest.front()) continue;
                std::pop_heap(likeliest.begin(), likeliest.end(), std::greater<>());
                likeliest.back() = logit;
            } else {
                likeliest.push_back(logit);
            }
            std::push_heap(likeliest.begin(), likeliest.end(), std::greater<>());
        }
        const float smallest = likeliest.front();
        int equals = int(std::count(likeliest.begin(), likeliest.end(), smallest)), kept = 0;
        for (int i = 0; i < candidates; i++) {
            const float logit = row[ids[i]];
            const bool is_kept = logit > smallest || (logit == smallest && equals-- > 0);
            ids[kept] = ids[i];
            kept += is_kept;
        }
        return kept;
    }

    // The weights of the candidates, and their sum. Loops that compilers turn into vectors: no calls, no branches.
    int64_t weigh(int candidates) {
        const float last = float(tables.last), best = wish.best, scale = wish.scale;
        const double *coarse = tables.coarse, *fine = tables.fine;
        const int shift = tables.shift, rest = (1 << shift) - 1;
        for (int i = 0; i < candidates; i++) {
            const float far = (row[ids[i]] - best) * scale;
            distances[i] = int(far < last ? far : last);
        }
        int64_t sum = 0;
        for (int i = 0; i < candidates; i++) sum += weights[i] = rounded(coarse[distances[i] >> shift] * fine[distances[i] & rest]);
        return sum;
    }

    // The nearest whole number to one below 2^51, halves to the even one: what stands in the last bits of their sum.
    static int64_t rounded(double value) {
        const double lift = 0x1p52;
        return std::bit_cast<int64_t>(value + lift) - std::bit_cast<int64_t>(lift);
    }

    // Roughly, the weight of all that lie below `bound`.
    int64_t rough_below(float bound) const {
        const float slope = wish.slope, last = float(tables.rough_last), offset = last - wish.best * slope;
        const int64_t* rough = tables.rough;
        int64_t sum = 0;
        int i = 0;
#if defined(__AVX512F__)
        __m512i sums = _mm512_setzero_si512();
        for (; i + 16 <= count; i += 16) {
            const __m512 logits = _mm512_loadu_ps(row + i);
            const __m512 at = _mm512_add_ps(_mm512_mul_ps(logits, _mm512_set1_ps(slope)), _mm512_set1_ps(offset));
            const __m512 inside = _mm512_min_ps(_mm512_max_ps(at, _mm512_setzero_ps()), _mm512_set1_ps(last));
            const __m512i indices = _mm512_cvttps_epi32(inside);
            const __mmask16 below = _mm512_cmp_ps_mask(logits, _mm512_set1_ps(bound), _CMP_LT_OQ);
            const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(indices), rough, 8);
            const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(indices, 1), rough, 8);
            sums = _mm512_mask_add_epi64(sums, __mmask8(below), sums, low);
            sums = _mm512_mask_add_epi64(sums, __mmask8(below >> 8), sums, high);
        }
        sum = _mm512_reduce_add_epi64(sums);
#endif
        for (; i < count; i++) {
            const float at = row[i] * slope + offset, inside = at > 0.0f ? at : 0.0f;
            const int64_t weight = rough[int(inside < last ? inside : last)];
            sum += weight & -int64_t(row[i] < bound);
        }
        return sum;
    }

    // Puts outside what is not among the fewest likeliest whose weights come to `wanted`; among equals, the first are in.
    void keep_nucleus(int candidates, double wanted) {
        mass.assign((tables.last >> tables.bucket_shift) + 1, 0);
        int buckets = 0;
        for (int i = 0; i < candidates; i++) {
            const int bucket = distances[i] >> tables.bucket_shift;
            mass[bucket] += weights[i];
            buckets = std::max(buckets, bucket + 1);
        }
        int edge = 0;
        int64_t reached = 0;
        while (edge < buckets - 1 && double(reached + mass[edge]) < wanted) reached += mass[edge++];
        members.clear();
        for (int i = 0; i < candidates; i++) {
            const int bucket = distances[i] >> tables.bucket_shift;
            outside[i] = bucket >= edge;
            if (bucket == edge) members.push_back(i);
        }
        std::stable_sort(members.begin(), members.end(), [&](int a, int b) { return row[ids[a]] > row[ids[b]]; });
        for (int member : members) {
            outside[member] = 0;
            reached += weights[member];
            if (double(reached) >= wanted) break;
        }
    }

    // Where `chance` of all the weight is passed: first the block, then the place in it.
    int place(int kept) const {
        int64_t whole = 0, before = 0;
        for (int i = 0; i < kept; i++) whole += weights[i];
        const double target = wish.chance * double(whole);
        int start = 0;
        for (; start + BLOCK < kept; start += BLOCK) {
            int64_t block = 0;
            for (int i = start; i < start + BLOCK; i++) block += weights[i];
            if (double(before + block) > target) break;
            before += block;
        }
        const double rest = target - double(before);
        const int last = std::min(start + BLOCK, kept) - 1;
        int64_t inside = 0;
        for (int i = start; i < last; i++) {
            inside += weights[i];
            if (double(inside) > rest) return i;
        }
        return last;
    }

    const WeightTables& tables;
    const Drawing& wish;
    const float* row;
    int count;
    std::vector<int>& members;
    std::vector<int64_t>& mass;
    std::vector<float>& likeliest;
    int *ids, *distances;
    int64_t* weights;
    uint8_t* outside;
};
