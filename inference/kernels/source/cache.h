// Keys and values of every slot in bfloat16, laid out for the dot products that read them.
//
// Keys: blocks of 16 positions, [position / 16][dimension / 2][16 positions][2]: one vector holds a pair of dimensions of
// 16 positions, so 16 scores grow at once and none needs a sum across a vector.
// Values: pairs of positions, [position / 2][dimension][2]: one vector adds two positions to 16 dimensions.
#pragma once
#include "memory.h"
#include "simd.h"

struct Cache {
    int layers = 0, slots = 0, kv_heads = 0, head_size = 0;
    size_t head_elements = 0;  // of one slot's head: positions, rounded up to blocks, times head_size
    Memory memory;

    void shape(int layer_count, int slot_count, int positions, int heads, int size) {
        layers = layer_count;
        slots = slot_count;
        kv_heads = heads;
        head_size = size;
        head_elements = size_t((positions + LANES - 1) / LANES * LANES) * size;
        memory.reserve(size_t(2) * layers * slots * kv_heads * head_elements * 2);
    }
    uint16_t* keys(int layer, int slot, int head) const { return at(2 * layer, slot, head); }
    uint16_t* values(int layer, int slot, int head) const { return at(2 * layer + 1, slot, head); }

    void put_key(int layer, int slot, int head, int position, const float* key) const {
        uint16_t* block = keys(layer, slot, head) + size_t(position / LANES) * LANES * head_size + position % LANES * 2;
        for (int d = 0; d < head_size; d += 2) {
            block[d * LANES] = to_bfloat16(key[d]);
            block[d * LANES + 1] = to_bfloat16(key[d + 1]);
        }
    }
    // `is_last`: the slot's next position is not written in this step.
    void put_value(int layer, int slot, int head, int position, const float* value, bool is_last) const {
        uint16_t* pair = values(layer, slot, head) + size_t(position / 2) * 2 * head_size;
        const bool second = position % 2;
        for (int d = 0; d < head_size; d++) {
            pair[2 * d + second] = to_bfloat16(value[d]);
            // What an earlier tenant left in the other half has weight 0, but 0 times NaN would still spoil the sum.
            if (!second && is_last) pair[2 * d + 1] = 0;
        }
    }
    void copy(int source, int target, int length) const {
        const size_t elements = size_t((length + LANES - 1) / LANES * LANES) * head_size;
        for (int part = 0; part < 2 * layers; part++)
            for (int head = 0; head < kv_heads; head++)
                std::memcpy(at(part, target, head), at(part, source, head), elements * 2);
    }
    void release(int slot, int keep) {
        const size_t kept = size_t((keep + LANES - 1) / LANES * LANES) * head_size;
        for (int part = 0; part < 2 * layers; part++)
            for (int head = 0; head < kv_heads; head++) {
                const size_t start = size_t(at(part, slot, head) - memory.as<uint16_t>());
                memory.forget((start + kept) * 2, (start + head_elements) * 2);
            }
    }

  private:
    uint16_t* at(int part, int slot, int head) const {
        return memory.as<uint16_t>() + ((size_t(part) * slots + slot) * kv_heads + head) * head_elements;
    }
};
