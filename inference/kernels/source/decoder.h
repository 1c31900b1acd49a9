// A whole forward pass over tokens of several slots: embedding, layers, output projection.
#pragma once
#include <memory>
#include <vector>

#include "attention.h"
#include "packing.h"

// Mirrored field by field by inference/kernels/native.py.
struct Shape {
    int layers, hidden, intermediate, heads, kv_heads, head_size, vocabulary, slots, positions, threads;
    float epsilon;
};

enum Matrix : int { QKV = 0, OUTPUT = 1, GATE_UP = 2, DOWN = 3, EMBEDDING = 4, HEAD = 5 };
enum Vector : int { INPUT_NORM = 0, MLP_NORM = 1, QUERY_NORM = 2, KEY_NORM = 3, FINAL_NORM = 4, COSINES = 5, SINES = 6 };

struct Layer {
    Linear qkv, output, gate_up, down;  // gate_up: 32 rows of gate, 32 of up, and so on, to be multiplied where they are made
    std::vector<float> input_norm, mlp_norm, query_norm, key_norm;
    int window = 0;  // tokens it may look back at, itself included; 0 for all
};

// Tokens of one slot at neighbouring positions that attend together.
struct Run {
    int row, rows;
};

class Decoder {
  public:
    explicit Decoder(const Shape& wanted) : shape(wanted), threads(wanted.threads), layers(wanted.layers), scratch(wanted.threads) {
        query_size = shape.heads * shape.head_size;
        kv_size = shape.kv_heads * shape.head_size;
        cache.shape(shape.layers, shape.slots, shape.positions, shape.kv_heads, shape.head_size);
        const int group = shape.heads / shape.kv_heads;
        queries_together = group < QUERIES_AT_ONCE ? group : QUERIES_AT_ONCE;
        rows_together = QUERIES_AT_ONCE / queries_together;
    }

    Linear& linear(int layer, Matrix which) {
        switch (which) {
            case QKV: return layers[layer].qkv;
            case OUTPUT: return layers[layer].output;
            case GATE_UP: return layers[layer].gate_up;
            case DOWN: return layers[layer].down;
            case EMBEDDING: return embedding;
            default: return head;
        }
    }
    std::vector<float>& vector(int layer, Vector which) {
        switch (which) {
            case INPUT_NORM: return layers[layer].input_norm;
            case MLP_NORM: return layers[layer].mlp_norm;
            case QUERY_NORM: return layers[layer].query_norm;
            case KEY_NORM: return layers[layer].key_norm;
            case FINAL_NORM: return final_norm;
            case COSINES: return cosines;
            default: return sines;
        }
    }

    // Rows of one slot are adjacent and at rising positions. logits: float32 [wanted rows][vocabulary]. Gives up before the
    // next part of a layer or of the output projection, and returns false, once another thread has written to `stop_word` (which
    // may be null).
    bool forward(int count, const int* tokens, const int* row_slots, const int* row_positions, int wanted, const int* wanted_rows,
                 float* logits, const int* stop_word) {
        slots = row_slots;
        positions = row_positions;
        stop = stop_word;
        reserve(count);
        find_runs(count);
        for_rows(count, [&](int row) { unpack_row(embedding, tokens[row], hidden + size_t(row) * shape.hidden); });
        for (int index = 0; index < shape.layers; index++) {
            if (is_stopped()) return false;
            look_back(index, count);
            if (is_stopped()) return false;
            think(index, count);
        }
        return project(wanted, wanted_rows, logits);
    }

    Shape shape;
    Threads threads;
    Arena arena;
    std::vector<Layer> layers;
    Linear embedding, head;
    bool tied = true;
    Cache cache;

  private:
    bool is_stopped() const { return stop && __atomic_load_n(stop, __ATOMIC_RELAXED); }

    void reserve(int count) {
        const size_t rows = count;
        const size_t widths = shape.hidden + 2 * size_t(query_size) + 2 * kv_size + query_size;
        buffer.reserve(rows * widths * sizeof(float) + 64 * 8);
        hidden = buffer.as<float>();
        projected = hidden + rows * shape.hidden;
        attended = projected + rows * (query_size + 2 * kv_size);
        rotated = (uint32_t*)(attended + rows * query_size);
        normed.reserve(rows, shape.hidden);
        mixed.reserve(rows, query_size);
        gated.reserve(rows, shape.intermediate);
        const size_t blocks = (shape.positions + LANES - 1) / LANES * LANES;
        for (auto& each : scratch) each.reserve(QUERIES_AT_ONCE * blocks * 6);
    }

    void find_runs(int count) {
        runs.clear();
        for (int row = 0; row < count; row++) {
            const bool extends = row > 0 && slots[row] == slots[row - 1] && runs.back().rows < rows_together;
            if (extends) runs.back().rows++;
            else runs.push_back({row, 1});
        }
    }

    // Small steps are done by the calling thread: waking another would take longer.
    template <class Work> void for_rows(int count, const Work& work) {
        if (count < 4) {
            for (int row = 0; row < count; row++) work(row);
        } else {
            share(threads, count, [&](int row, int) { work(row); });
        }
    }

    void normalise(const float* x, const float* weight, int width, float* to) const {
        Floats squares = {};
        for (int i = 0; i < width; i += LANES) squares = multiply_add(load<Floats>(x + i), load<Floats>(x + i), squares);
        const float factor = 1.0f / __builtin_sqrtf(reduce_add(squares) / float(width) + shape.epsilon);
        for (int i = 0; i < width; i += LANES) store(to + i, load<Floats>(x + i) * factor * load<Floats>(weight + i));
    }

    void normalise_row(int from, int to, const std::vector<float>& weight, Format format) {
        float row[shape.hidden];
        normalise(hidden + size_t(from) * shape.hidden, weight.data(), shape.hidden, row);
        normed.put_row(to, row, format);
    }

    // A layer's attention.
    void look_back(int index, int count) {
        Layer& layer = layers[index];
        for_rows(count, [&](int row) { normalise_row(row, row, layer.input_norm, layer.qkv.format); });
        const int stride = query_size + 2 * kv_size;
        multiply(threads, layer.qkv, normed, count, 0, layer.qkv.tiles,
                 [&](int tile, int row, Floats sums) { store(projected + size_t(row) * stride + tile * TILE, sums); });
        for_rows(count, [&](int row) { rotate_row(index, row, row + 1 == count || slots[row + 1] != slots[row]); });
        attend_all(index);
        add_product(layer.output, mixed, count);
    }

    // A layer's feed-forward network.
    void think(int index, int count) {
        Layer& layer = layers[index];
        for_rows(count, [&](int row) { normalise_row(row, row, layer.mlp_norm, layer.gate_up.format); });
        gate(layer, count);
        add_product(layer.down, gated, count);
    }

    void add_product(const Linear& weights, const Activations& x, int count) {
        multiply(threads, weights, x, count, 0, weights.tiles, [&](int tile, int row, Floats sums) {
            float* to = hidden + size_t(row) * shape.hidden + tile * TILE;
            store(to, load<Floats>(to) + sums);
        });
    }

    // Turns queries and keys by their position; keys and values go to the cache, queries to `rotated` as bfloat16.
    void rotate_row(int index, int row, bool is_last) {
        const Layer& layer = layers[index];
        const int size = shape.head_size, position = positions[row];
        float* from = projected + size_t(row) * (query_size + 2 * kv_size);
        float turned[size];
        for (int head = 0; head < shape.heads; head++) {
            turn(from + head * size, layer.query_norm, position, turned);
            uint16_t* to = (uint16_t*)(rotated + (size_t(row) * query_size + head * size) / 2);
            for (int d = 0; d < size; d += LANES) store_bfloat16(to + d, load<Floats>(turned + d));
        }
        for (int head = 0; head < shape.kv_heads; head++) {
            turn(from + query_size + head * size, layer.key_norm, position, turned);
            cache.put_key(index, slots[row], head, position, turned);
            const float* value = from + query_size + kv_size + head * size;
            cache.put_value(index, slots[row], head, position, value, is_last);
        }
    }

    void turn(float* head, const std::vector<float>& norm, int position, float* to) const {
        const int half = shape.head_size / 2;
        if (!norm.empty()) normalise(head, norm.data(), shape.head_size, head);
        const float* cosine = cosines.data() + size_t(position) * half;
        const float* sine = sines.data() + size_t(position) * half;
        for (int d = 0; d < half; d++) {
            to[d] = head[d] * cosine[d] - head[d + half] * sine[d];
            to[d + half] = head[d + half] * cosine[d] + head[d] * sine[d];
        }
    }

    void attend_all(int index) {
        const int group = shape.heads / shape.kv_heads, parts = (group + queries_together - 1) / queries_together;
        const int items = int(runs.size()) * shape.kv_heads * parts;
        share(threads, items, [&](int item, int thread) {
            const int part = item % parts, head = item / parts % shape.kv_heads;
            const int first = head * group + part * queries_together;
            const int last = first + queries_together < (head + 1) * group ? first + queries_together : (head + 1) * group;
            attend_run(index, runs[runs.size() - 1 - item / parts / shape.kv_heads], head, first, last, thread);
        });
        if (shape.head_size % GROUP) {
            const size_t rows = runs.back().row + runs.back().rows;
            for (size_t row = 0; row < rows; row++) mixed.put_row(row, attended + row * query_size, layers[index].output.format);
        }
    }

    void attend_run(int index, Run run, int head, int first_query, int last_query, int thread) {
        const Layer& layer = layers[index];
        const int size = shape.head_size;
        const size_t blocks = (shape.positions + LANES - 1) / LANES * LANES;
        Query queries[QUERIES_AT_ONCE];
        int count = 0;
        for (int row = run.row; row < run.row + run.rows; row++)
            for (int query = first_query; query < last_query; query++, count++) {
                const size_t at = size_t(row) * query_size + query * size;
                const int end = positions[row] + 1;
                const int first = layer.window && end > layer.window ? end - layer.window : 0;
                float* scores = scratch[thread].as<float>() + count * blocks;
                uint16_t* chances = scratch[thread].as<uint16_t>(QUERIES_AT_ONCE * blocks * 4) + count * blocks;
                queries[count] = {rotated + at / 2, first, end, scores, chances, attended + at};
            }
        const int slot = slots[run.row];
        attend(queries, count, cache.keys(index, slot, head), cache.values(index, slot, head), size, 1.0f / __builtin_sqrtf(float(size)));
        if (size % GROUP) return;
        for (int row = run.row; row < run.row + run.rows; row++)
            for (int g = first_query * size / GROUP; g < last_query * size / GROUP; g++)
                mixed.put(row, g, attended + size_t(row) * query_size + g * GROUP, layer.output.format);
    }

    // silu(gate) * up, 32 columns at a time: exactly one group of what the next product reads.
    void gate(Layer& layer, int count) {
        share(threads, shape.intermediate / GROUP, [&](int unit, int) {
            for (int row = 0; row < count; row += ROWS_AT_ONCE) {
                const int some = count - row < ROWS_AT_ONCE ? count - row : ROWS_AT_ONCE;
                Floats gates[2][ROWS_AT_ONCE], ups[2][ROWS_AT_ONCE];
                for (int half = 0; half < 2; half++) {
                    tile_rows(layer.gate_up, 4 * unit + half, normed, row, some, gates[half]);
                    tile_rows(layer.gate_up, 4 * unit + 2 + half, normed, row, some, ups[half]);
                }
                for (int r = 0; r < some; r++) {
                    alignas(64) float together[GROUP];
                    for (int half = 0; half < 2; half++)
                        store(together + half * LANES, gates[half][r] / (exponential(-gates[half][r]) + 1.0f) * ups[half][r]);
                    gated.put(row + r, unit, together, layer.down.format);
                }
            }
        });
    }

    // Of many rows, the projection takes as long as some layers.
    bool project(int wanted, const int* wanted_rows, float* logits) {
        const Linear& weights = tied ? embedding : head;
        for_rows(wanted, [&](int row) { normalise_row(wanted_rows[row], row, final_norm, weights.format); });
        const int step = (weights.tiles + PROJECTION_PARTS - 1) / PROJECTION_PARTS;
        for (int first = 0; first < weights.tiles; first += step) {
            if (is_stopped()) return false;
            const int last = first + step < weights.tiles ? first + step : weights.tiles;
            multiply(threads, weights, normed, wanted, first, last, [&](int tile, int row, Floats sums) {
                const int left = shape.vocabulary - tile * TILE;
                std::memcpy(logits + size_t(row) * shape.vocabulary + tile * TILE, &sums, (left < TILE ? left : TILE) * sizeof(float));
            });
        }
        return true;
    }

    static constexpr int PROJECTION_PARTS = 4;
    const int* stop = nullptr;

    int query_size, kv_size, queries_together, rows_together;
    std::vector<float> final_norm, cosines, sines;
    const int* slots = nullptr;
    const int* positions = nullptr;
    std::vector<Run> runs;
    Memory buffer;
    float *hidden = nullptr, *projected = nullptr, *attended = nullptr;
    uint32_t* rotated = nullptr;
    Activations normed, mixed, gated;
    std::vector<Memory> scratch;
};
